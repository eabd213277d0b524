/** What `hubbub.js` exports, for TypeScript. The modules say the same in JSDoc; a test holds the two together. */

import type {
  ClientInfo,
  HistoryOptions,
  HistoryPage,
  HubOptions,
  HubState,
  HubTarget,
  Position,
  ReconnectOptions,
  RoomOptions,
  RoomState,
  RoomTarget,
  Sendable,
  TargetClass,
} from "./types.d.ts";

export type * from "./types.d.ts";

declare const SocketTarget: TargetClass;
declare const HubEvents: HubTarget;
declare const RoomEvents: RoomTarget;

/** A WebSocket that comes back by itself, with the interface of the browser's own. */
export declare class ReconnectingWebSocket extends SocketTarget {
  /** Throws a SyntaxError for a bad URL or bad subprotocols, as the browser's. */
  constructor(url: string | URL, protocols?: string | string[], options?: ReconnectOptions);
  /** The resolved URL, without the token. */
  get url(): string;
  /** CONNECTING also during a wait; CLOSED only when it is over. */
  get readyState(): 0 | 1 | 2 | 3;
  get protocol(): string;
  get extensions(): string;
  /** Bytes that `send()` took and that did not go out yet, in the queue or in the browser. */
  get bufferedAmount(): number;
  get binaryType(): BinaryType;
  set binaryType(type: BinaryType);
  /** The option: ms of silence after which a link is given up; 0 is never. */
  get watchdog(): number;
  set watchdog(silence: number);
  /** Sends now, or queues while there is no connection. Throws a QuotaExceededError when the queue is full. */
  send(data: Sendable): void;
  /** Closes the connection, or ends the attempts, for good. */
  close(code?: number, reason?: string): void;
  /** Ends a wait with an attempt at once. */
  retryNow(): void;
  /** Takes the present connection for ended with this code, which says what follows. */
  drop(code: number, reason?: string): void;
}

/** A connection to a hub, from its making until `close()`; it comes back by itself. */
export declare class Hub extends HubEvents {
  /** Throws a SyntaxError for a bad URL. */
  constructor(url: string | URL, options?: HubOptions);
  readonly state: HubState;
  /** The id of the present connection, as others see it; empty before the first. */
  readonly client: string;
  /** The room of that name, always the same object, made with the options of the first call. */
  room(name: string, options?: RoomOptions): Room;
  /** Calls a method of the application; resolves with what it returns. */
  rpc(method: string, data?: unknown): Promise<any>;
  /** Sends a message that is not answered; resolves when it is on its way. */
  send(data: unknown): Promise<unknown>;
  /** Ends a wait with an attempt at once. */
  retryNow(): void;
  /** Ends the connection, or the attempts, for good. */
  close(): void;
}

/** One room. `hub.room(name)` makes it; nothing happens before `subscribe()`. */
export declare class Room extends RoomEvents {
  private constructor();
  readonly name: string;
  readonly state: RoomState;
  /** Where it stands; null where nothing can be recovered. */
  readonly position: Position | null;
  /** Comes in, and again after every reconnect; with `since`, all that followed comes first. */
  subscribe(options?: { since?: Position }): void;
  /** Leaves, and forgets where it stood. */
  unsubscribe(): void;
  /** Resolves when the server has it; rejects with a `HubError`. */
  publish(data: unknown): Promise<void>;
  /** What the room remembers, and where it stands. */
  history(options?: HistoryOptions): Promise<HistoryPage>;
  /** Who is there: one entry for each connection. */
  presence(): Promise<ClientInfo[]>;
  /** How many are there. */
  presenceStats(): Promise<{ clients: number; users: number }>;
}
