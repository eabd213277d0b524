/** The types of hubbub.js, which imports them in comments only: the module itself is one file. */

import type { ReconnectingWebSocket } from "./hubbub.js";

/** No token: nothing is added to the URL. */
export type Token = string | null | undefined;

export interface ReconnectOptions {
  /** Asked before every attempt, for a token to go into the URL's query. Its failure is a failed attempt. */
  getToken?: () => Token | Promise<Token>;
  /** Name of the token's query parameter: "token". */
  tokenParam?: string;
  /**
   * First delay before another attempt, in ms: 1000. A connection that was open for as long, or that brought
   * a message, counts as a success and starts the delays over.
   */
  minDelay?: number;
  /** Longest delay, in ms: 30000. The only one while the browser is offline. */
  maxDelay?: number;
  /** Growth of the delay per failed attempt: 2. */
  factor?: number;
  /**
   * Random addition to each delay, as a fraction of it: 0.25. It is added before the cap, so delays never
   * shrink while `factor` is at least `1 + jitter`.
   */
  jitter?: number;
  /** Time for one attempt, `getToken` included, in ms: 10000. */
  connectTimeout?: number;
  /** Bytes that may wait while there is no connection: 1048576. */
  maxQueueBytes?: number;
  /**
   * Ask the server for `{"type":"ping"}` messages (query `heartbeat=1`), answer each with `pong`, and keep
   * them out of the message events: false.
   */
  heartbeat?: boolean;
  /** Silence after which a link is given up, in ms; 0 is never. 45000 with `heartbeat`, else 0. */
  watchdog?: number;
}

/** What the event `reconnecting` tells. */
export interface ReconnectingDetail {
  /** Number of the coming attempt since the last success; 1 is the first. */
  attempt: number;
  /** The wait before it, in ms. */
  delay: number;
  /** Its time, as `Date.now()` counts. */
  at: number;
}

export interface ReconnectingEventMap extends WebSocketEventMap {
  reconnecting: CustomEvent<ReconnectingDetail>;
}

/** What `send()` takes. */
export type Sendable = Parameters<WebSocket["send"]>[0];

/** Why a link ended; with the key `error` when an `error` event belongs to it. */
export interface LinkEnd {
  code: number;
  reason: string;
  wasClean: boolean;
  error?: unknown;
}

/** What a link needs to know: the options with the defaults filled in, and what the constructor resolved. */
export interface LinkOptions extends Required<Omit<ReconnectOptions, "maxQueueBytes">> {
  url: URL;
  protocols: string[];
}

/** What a link tells its owner. */
export interface LinkOwner {
  onopen(): void;
  onmessage(event: MessageEvent): void;
  onend(end: LinkEnd): void;
}

type Listen = <Type extends keyof ReconnectingEventMap>(
  type: Type,
  listener: (this: ReconnectingWebSocket, event: ReconnectingEventMap[Type]) => unknown,
  options?: boolean | AddEventListenerOptions,
) => void;

type States = Pick<WebSocket, "CONNECTING" | "OPEN" | "CLOSING" | "CLOSED">;
type Handlers = Pick<WebSocket, "onopen" | "onmessage" | "onerror" | "onclose">;

interface Target extends EventTarget, States, Handlers {
  onreconnecting: ((event: CustomEvent<ReconnectingDetail>) => unknown) | null;
  addEventListener: Listen;
  removeEventListener: Listen;
}

/** EventTarget, as the class extends it: with the constants, the handlers, and the types of the events. */
export type TargetClass = { new (): Target } & States;
