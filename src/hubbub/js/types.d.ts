/** The types of hubbub.js, which imports them in comments only. */

import type { Hub, ReconnectingWebSocket, Room } from "./hubbub.js";

/** No token: nothing is added to the URL. */
export type Token = string | null | undefined;

export interface ReconnectOptions {
  /** Asked before every attempt, for a token to go into the URL's query. Its failure is a failed attempt. */
  getToken?: () => Token | void | Promise<Token | void>;
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

/** Why a link ended; of the browser's `CloseEvent` it has the same. */
export interface LinkEnd {
  code: number;
  reason?: string;
  wasClean?: boolean;
  /** What was thrown. */
  error?: unknown;
}

/**
 * Hears the end of a link: whether an `error` event belongs to it, whether a message came, and whether it was
 * open for `minDelay`.
 */
export type LinkEnded = (end: LinkEnd, hasFailed?: boolean, hasHeard?: boolean, hasLasted?: boolean) => void;

/** What a link uses of the browser's socket. */
export interface Socket extends Partial<
  Pick<WebSocket, "protocol" | "extensions" | "bufferedAmount" | "binaryType">
> {
  readyState: number;
  onopen?: ((event?: any) => unknown) | null;
  onmessage?: ((event: MessageEvent) => unknown) | null;
  onerror?: ((event: any) => unknown) | null;
  onclose?: ((event: any) => unknown) | null;
  send(data: Sendable): void;
  close(code?: number, reason?: string): void;
}

export type SocketMaker = (url: URL, protocols: string[]) => Socket;

/** What a link needs to know: the options with the defaults filled in, and what the constructor resolved. */
export interface LinkOptions extends Required<Omit<ReconnectOptions, "getToken">> {
  getToken?: ReconnectOptions["getToken"];
  url: URL;
  protocols: string[];
  makeSocket: SocketMaker;
}

/** One attempt, and the connection it becomes. */
export interface Link {
  /** The browser's socket; none while the token is being fetched. */
  socket(): Socket | undefined;
  /** Whether the browser's socket took it. */
  send(data: Sendable): boolean;
  /** Ends it for the user, who hears of it even if it had ended before. */
  close(code?: number, reason?: string): void;
  /** Ends it without waiting for the browser's socket, as if the server had closed it. */
  drop(code: number, reason?: string): void;
  /** Ends it when it has been silent for too long, else looks again in time. */
  watch(): void;
}

/** Items that wait, oldest first. */
export interface SendQueue<Item> {
  /** Bytes that wait. */
  bytes: number;
  /** Throws a QuotaExceededError, and queues nothing, when it is full. */
  push(item: Item, size: number): void;
  /** Hands over all that are taken; the others stay. */
  drain(take: (item: Item) => unknown): void;
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

/* Hub */

/** What a failed call rejects with. */
export interface HubError extends Error {
  name: "HubError";
  /**
   * The protocol's: 100 to 1999 of a command, from 3000 of the connection. 0: the connection was lost before
   * the answer came, and nobody knows whether the server did it.
   */
  code: number;
  /** Whether the same call may succeed later. */
  temporary: boolean;
}

export interface HubOptions extends Pick<
  ReconnectOptions,
  "minDelay" | "maxDelay" | "factor" | "jitter" | "connectTimeout"
> {
  /**
   * Asked for a connection token when there is none, when the server says that it has expired, and shortly
   * before it ends. Its failure is a failed attempt.
   */
  getToken?: () => Token | Promise<Token>;
  /** The first connection token. */
  token?: Token;
  /** What the application is told at each connect: anything that JSON can say. */
  data?: unknown;
  /** What the client calls itself, at most 16 characters: "hubbub.js". */
  name?: string;
  /** Whether it may do without WebSockets where none can be opened: true. */
  fallback?: boolean;
  /** Bytes of calls that may wait while there is no connection: 1048576. */
  maxQueueBytes?: number;
  /** Calls that may wait while there is no connection: 1000. */
  maxQueue?: number;
}

/** Other keys go to the server as they are, as fields of the subscribe command. */
export interface RoomOptions {
  /** Where to begin: publications after this position are delivered first, if they are kept. */
  since?: Position;
  /** Ask for recovery in a room where it is possible, but not forced by the server: false. */
  recoverable?: boolean;
  /** Ask for the events `join` and `leave`: false. */
  joinLeave?: boolean;
  /** Asked for a subscription token when there is none, when it has expired, and shortly before it ends. */
  getToken?: (room: string) => Token | Promise<Token>;
  /** What the application is told at each subscribe: anything that JSON can say. */
  data?: unknown;
}

export type HubState = "connecting" | "connected" | "disconnected";
export type RoomState = "unsubscribed" | "subscribing" | "subscribed";

/** A place in a room's history. */
export interface Position {
  epoch: string;
  offset: number;
}

/** Who somebody is. */
export interface ClientInfo {
  /** The user's id; empty for nobody. */
  user: string;
  /** The connection's id. */
  client: string;
  /** What others may know of the connection. */
  conn_info?: any;
  /** What others may know of it in this room. */
  chan_info?: any;
}

export interface Publication {
  data: any;
  /** Its place in a room that keeps positions. */
  offset?: number;
  /** Who published it, if a client did. */
  info?: ClientInfo;
  tags?: Record<string, string>;
  /** Milliseconds since the Unix epoch, if the server tells. */
  time?: number;
}

export interface HistoryOptions {
  /** Most publications: 100. 0 asks for the position alone. */
  limit?: number;
  /** Only what came after; with `reverse`, what came before. */
  since?: Position;
  /** Newest first. */
  reverse?: boolean;
}

export interface HistoryPage extends Position {
  publications: Publication[];
}

export interface Subscribed {
  /** All that was missed is there: it follows as publications. */
  recovered: boolean;
  /** There was something to recover. If `recovered` is false then, read the history. */
  wasRecovering: boolean;
  /** Where the room stood; null where nothing can be recovered. */
  position: Position | null;
  /** What the application says. */
  data?: any;
}

export interface Ended {
  code: number;
  reason: string;
}

export interface HubEventMap {
  /** The client is known to the server; `data` is what the application says. */
  connected: CustomEvent<{ client: string; data?: any }>;
  /** The connection is lost, or an attempt has failed, and another one follows. */
  connecting: CustomEvent<ReconnectingDetail>;
  /** It is over. */
  disconnected: CustomEvent<Ended>;
  /** A message to this client alone. */
  message: CustomEvent<{ data: any }>;
  /** The server has put the client into a room that nobody has asked for. */
  room: CustomEvent<{ room: Room }>;
  error: CustomEvent<{ error: unknown }>;
}

export interface RoomEventMap {
  publication: CustomEvent<Publication>;
  join: CustomEvent<ClientInfo>;
  leave: CustomEvent<ClientInfo>;
  subscribed: CustomEvent<Subscribed>;
  unsubscribed: CustomEvent<Ended>;
  error: CustomEvent<{ error: unknown }>;
}

interface Listening<Owner, Events> extends Pick<EventTarget, "dispatchEvent"> {
  addEventListener<Type extends keyof Events>(
    type: Type,
    listener: (this: Owner, event: Events[Type]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof Events>(
    type: Type,
    listener: (this: Owner, event: Events[Type]) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
}

/** EventTarget, as the classes extend it: with the types of the events. */
export type HubTarget = { new (): Listening<Hub, HubEventMap> };
export type RoomTarget = { new (): Listening<Room, RoomEventMap> };

/* The protocol, as far as it is used */

/** How long something is good for: `ttl` seconds, if `expires`. */
export interface Expiry {
  expires?: boolean;
  ttl?: number;
}

export interface RenewedToken {
  /** The present one, if any. */
  value(): Token;
  /** Whether it has to be asked for. */
  isMissing(): unknown;
  /** Has it fetched if there is none. Rejects as the user's function does. */
  get(): Promise<void>;
  /** The server does not take it any more. Returns whether there may be another one. */
  drop(): unknown;
  /** Renews it when nine tenths of its time are over; without argument it is not needed any more. */
  keep(expiry?: Expiry): void;
}

export interface CommandError {
  code: number;
  message: string;
  temporary?: boolean;
}

export interface SubscribeResult extends Expiry {
  recoverable?: boolean;
  epoch?: string;
  offset?: number;
  publications?: Publication[];
  recovered?: boolean;
  was_recovering?: boolean;
  data?: any;
}

export interface ConnectResult extends Expiry {
  client: string;
  data?: any;
  subs?: Record<string, SubscribeResult>;
  /** Seconds between pings. */
  ping?: number;
  pong?: boolean;
}

export interface Push {
  channel?: string;
  pub?: Publication;
  join?: { info: ClientInfo };
  leave?: { info: ClientInfo };
  unsubscribe?: Ended;
  subscribe?: SubscribeResult;
  message?: { data: any };
  disconnect?: Ended;
  refresh?: Expiry;
}

export interface Requests {
  connect: object;
  subscribe: object;
  unsubscribe: object;
  publish: object;
  history: object;
  presence: object;
  presence_stats: object;
  rpc: object;
  send: object;
  refresh: object;
  sub_refresh: object;
}

export interface Replies {
  connect: ConnectResult;
  subscribe: SubscribeResult;
  unsubscribe: object;
  publish: object;
  history: Partial<HistoryPage>;
  presence: { presence: Record<string, ClientInfo> };
  presence_stats: { num_clients: number; num_users: number };
  rpc: { data?: any };
  send: object;
  refresh: Expiry;
  sub_refresh: Expiry;
}

export interface Reply {
  id?: number;
  error?: CommandError;
  push?: Push;
}

/** A command on its way. */
export interface Command {
  /** None for one that is not answered. */
  id: number | undefined;
  text: string;
  resolve: ((result: any) => void) | undefined;
  reject: ((error: any) => void) | undefined;
  /** Holds it back while its subscription waits for a token. */
  room: { isHeld: unknown } | undefined;
}

/** What a client asks of the server. */
export interface Commands {
  /** Whether the server takes commands now. */
  isOpen: boolean;
  /** Sends a command when it is its turn. Rejects with a `HubError`, or with a QuotaExceededError. */
  ask<Method extends keyof Requests>(
    method: Method,
    request: Requests[Method],
    room?: { isHeld: unknown },
  ): Promise<Replies[Method]>;
  /** Sends a command ahead of those. Its answer is handed over before anything that came after it. */
  first<Method extends keyof Requests>(
    method: Method,
    request: Requests[Method],
    resolve?: (result: Replies[Method]) => void,
    reject?: (error: HubError) => void,
  ): void;
  /** Sends what may go, at the end of this turn: all that is asked in it shares a frame. */
  flush(): void;
  /** Hands an answer over. */
  answer(reply: Reply): void;
  /** The connection is lost, and with it the answers: for good, if there is an error. */
  lost(error?: HubError): void;
}
