/**
 * A WebSocket that comes back by itself.
 *
 *     import { ReconnectingWebSocket } from "/hubbub.js";
 *     const socket = new ReconnectingWebSocket("/chat/general?username=ada");
 *     socket.onmessage = (event) => console.log(event.data);
 *     socket.send("hello"); // not open yet: queued, and sent on open
 *
 * It has the interface of the browser's own WebSocket (WHATWG WebSockets, section 3) and differs in this:
 *
 * - `close` is dispatched for each connection or attempt that ended. In its handler `readyState` is
 *   CONNECTING when another attempt follows (the event `reconnecting` says when), CLOSED when it is over.
 * - It is over after `close()`, a clean 1000 from the server, 1008, 3500-3999 and 4500-4999. Any other end is
 *   followed by another attempt, for as long as the page lives; after 4401 at once, unless it comes again.
 * - `send()` queues while there is no connection. The `open` event comes first, so what its handlers send
 *   (a first message with a token, say) goes ahead of the queue; then the queue follows in order.
 * - Delivery is at most once, as on any WebSocket: what was sent into a link that then died may be lost, and
 *   the `close` event is the sign of it.
 */

import { AT_ONCE, AWAY, CLOSED, CLOSING, CONNECTING, NORMAL, OPEN, POLICY } from "./codes.js";
import { emit } from "./emit.js";
import { makeLink } from "./link.js";
import { refuse, sendQueue, sizeOf } from "./queue.js";

/** @import { Link, LinkEnded, LinkOptions, ReconnectOptions, Sendable, SendQueue } from "./types.d.ts" */
/** @import { SocketMaker, TargetClass } from "./types.d.ts" */

/** Resolves it as the browser does. @param {string | URL} url @throws {DOMException} SyntaxError */
function resolveUrl(url) {
  const base = globalThis.document?.baseURI ?? location.href;
  if (URL.canParse(url, base)) {
    const resolved = new URL(url, base);
    resolved.protocol = resolved.protocol.replace(/^http/, "ws");
    if (/^wss?:[^#]*$/.test(resolved.href)) return resolved;
  }
  refuse(`Bad URL: ${url}`);
}

/** They are distinct tokens (RFC 6455, section 4.1). @param {string | string[]} protocols */
function checkProtocols(protocols) {
  const list = [protocols].flat().map(String);
  const areValid = list.every((name) => /^[!#$%&'*+\-.^_`|~\w]+$/.test(name));
  if (areValid && new Set(list).size === list.length) return list;
  refuse(`Bad protocols: ${list}`);
}

/** @param {number} [code] @param {string} [reason] @throws {DOMException} InvalidAccessError, SyntaxError */
function checkClose(code = NORMAL, reason = "") {
  const isAllowed = +code === NORMAL || (code >= 3000 && code < 5000);
  if (!isAllowed) refuse("Bad code", "InvalidAccessError");
  if (sizeOf(String(reason)) > 123) refuse("Reason too long");
}

/** @param {IArguments} given */
function needArgument(given) {
  if (!given.length) throw new TypeError("No argument");
}

const { defineProperty } = Object;

/** @type {any} Times in ms. */
const DEFAULTS = {
  tokenParam: "token",
  minDelay: 1000,
  maxDelay: 30_000,
  factor: 2,
  jitter: 0.25,
  connectTimeout: 10_000,
  maxQueueBytes: 1 << 20,
};

/** A WebSocket that reconnects; the head of this file says how. @implements {WebSocket} */
export class ReconnectingWebSocket extends /** @type {TargetClass} */ (EventTarget) {
  /** @type {LinkOptions} What the user asked for, defaults filled in. */
  #options;
  /** @type {SendQueue<string | Blob>} What waits for a connection. */
  #queue;
  /** @type {Link} The newest attempt; it stays here after its end, until the next one. */
  #link;
  /** @type {ReturnType<typeof setTimeout> | undefined} Ends a wait; undefined when there is none. */
  #retryTimer;
  /** Attempts since the last success. */
  #attempts = 0;
  /** @type {0 | 1 | 2 | 3} One of the four constants. */
  #readyState = CONNECTING;
  /** @type {BinaryType} How binary messages arrive. */
  #binaryType = "blob";
  /** @type {Record<string, Function | null>} The `on...` handlers. */
  #handlers = {};
  /** @type {boolean | undefined} `navigator.onLine` is wrong where there is only localhost: an event came. */
  #offline;
  /** @type {boolean | undefined} 4401 has had its attempt at once, and no connection has lasted since. */
  #tokenRetried;
  /** Takes back the listeners on window and document. */
  #listeners = new AbortController();

  /** @param {string | URL} url Absolute or relative; http and https become ws and wss.
   *  @param {string | string[]} [protocols] @param {ReconnectOptions} [options]
   *  @param {SocketMaker} [makeSocket] Makes what is used like the browser's socket, and is one by default.
   *  @throws {DOMException} SyntaxError for a bad URL or bad subprotocols, as the browser's. */
  constructor(url, protocols = [], options = {}, makeSocket = (...target) => new WebSocket(...target)) {
    super();
    needArgument(arguments);
    /** @type {any} */
    const own = { ...options, url: resolveUrl(url), protocols: checkProtocols(protocols), makeSocket };
    for (const name in DEFAULTS) own[name] ??= DEFAULTS[name];
    own.watchdog ??= own.heartbeat ? 45_000 : 0;
    this.#options = own;
    this.#queue = sendQueue(own.maxQueueBytes);
    this.#link = this.#connect();
    this.#listen();
  }

  static {
    ["CONNECTING", "OPEN", "CLOSING", "CLOSED"].forEach((name, value) => {
      for (const target of [this, this.prototype]) defineProperty(target, name, { value, enumerable: true });
    });
    for (const type of ["open", "message", "error", "close", "reconnecting"]) {
      defineProperty(this.prototype, `on${type}`, {
        /** @this {ReconnectingWebSocket} */
        get() { return this.#handlers[type] ?? null; },
        /** @this {ReconnectingWebSocket} @param {unknown} handler */
        set(handler) {
          const call = (/** @type {Event} */ event) => this.#handlers[type]?.call(this, event);
          if (!(type in this.#handlers)) this.addEventListener(/** @type {"open"} */ (type), call);
          this.#handlers[type] = typeof handler === "function" ? handler : null;
        },
        configurable: true,
      });
    }
  }

  /** The resolved URL, without the token. */
  get url() { return this.#options.url.href; }
  /** CONNECTING also during a wait; CLOSED only when it is over. */
  get readyState() { return this.#readyState; }
  /** The subprotocol that the server chose; empty while there is no connection. */
  get protocol() { return this.#connection?.protocol ?? ""; }
  /** The extensions in use; empty while there is no connection. */
  get extensions() { return this.#connection?.extensions ?? ""; }
  /** Bytes that `send()` took and that did not go out yet, in the queue or in the browser. */
  get bufferedAmount() {
    return this.#queue.bytes + (this.#connection?.bufferedAmount ?? 0);
  }

  /** "blob" or "arraybuffer". */
  get binaryType() { return this.#binaryType; }
  set binaryType(type) {
    if (type !== "blob" && type !== "arraybuffer") return;
    this.#binaryType = type;
    const socket = this.#link.socket();
    if (socket) socket.binaryType = type;
  }

  /** Sends now, or queues while there is no connection. After the end it drops the message with a warning in
   * the console, and counts it in `bufferedAmount`, as the browser does.
   * @param {Sendable} data Text, Blob, ArrayBuffer or a view of one; anything else is sent as text.
   * @throws {DOMException} QuotaExceededError when the queue is full; nothing of `data` is queued then. */
  send(data) {
    needArgument(arguments);
    if (this.#readyState === OPEN && this.#link.send(data)) return;
    const isBinary = data instanceof Blob || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
    const copy = isBinary ? new Blob([data]) : String(data); // as it is now; what is not binary is text
    const size = sizeOf(copy);
    if (this.#readyState < CLOSING) return this.#queue.push(copy, size);
    this.#queue.bytes += size;
    console.warn("Closed: message dropped");
  }

  /** Closes the connection, or ends the attempts, for good. What is queued stays unsent, in `bufferedAmount`.
   * @param {number} [code] 1000, or 3000 to 4999. @param {string} [reason] At most 123 bytes of UTF-8.
   * @throws {DOMException} InvalidAccessError for another code, SyntaxError for a longer reason. */
  close(code, reason) {
    checkClose(code, reason);
    if (this.#readyState >= CLOSING) return;
    this.#readyState = CLOSING;
    this.#stopWaiting();
    this.#link.close(code, reason);
  }

  /** Ends a wait with an attempt at once; without a wait it does nothing. Not in the browser's interface. */
  retryNow() {
    if (this.#retryTimer) this.#link = this.#connect();
  }

  /** Takes the present connection for ended with this code, which says what follows. Without one it does
   * nothing. Not in the browser's interface. @param {number} code @param {string} [reason] */
  drop(code, reason) {
    if (this.#readyState === OPEN) this.#link.drop(code, reason);
  }

  /** The option: ms of silence after which a link is given up; 0 is never. Not in the browser's interface. */
  get watchdog() { return this.#options.watchdog; }
  set watchdog(silence) {
    this.#options.watchdog = silence;
    this.#link.watch();
  }

  /** The browser's socket, unless there is no connection yet or none at present. */
  get #connection() { return this.#readyState ? this.#link.socket() : null; }

  #connect() {
    this.#stopWaiting();
    const opened = () => {
      if (this.#readyState !== CONNECTING) return;
      this.#readyState = OPEN;
      this.binaryType = this.#binaryType;
      this.dispatchEvent(new Event("open"));
      this.#queue.drain((data) => this.#link.send(data));
    };
    const heard = (/** @type {any} */ event) => void this.dispatchEvent(new MessageEvent("message", event));
    return makeLink(this.#options, opened, heard, this.#ended);
  }

  /** @type {LinkEnded} */
  #ended = (end, hasFailed, hasHeard, hasLasted) => {
    if (this.#readyState === CLOSED) return;
    const { code, reason: message, wasClean, error } = end;
    if (hasLasted) this.#tokenRetried = false;
    if (hasLasted || hasHeard) this.#attempts = 0;
    const atOnce = code === AT_ONCE && !this.#tokenRetried;
    this.#tokenRetried ||= atOnce;
    const isFinal = code === POLICY || (code >= 3500 && code < 5000 && code % 1000 >= 500);
    const isOver = this.#readyState === CLOSING || isFinal || (code === NORMAL && wasClean);
    this.#readyState = isOver ? CLOSED : CONNECTING;
    if (isOver) this.#listeners.abort();
    if (hasFailed) this.dispatchEvent(new ErrorEvent("error", { error, message }));
    this.dispatchEvent(new CloseEvent("close", end));
    if (this.#readyState === CONNECTING) this.#wait(atOnce); // no listener closed it
  };

  #stopWaiting() { this.#retryTimer = void clearTimeout(this.#retryTimer); }

  /** @param {boolean} [atOnce] */
  #wait(atOnce) {
    const { minDelay, maxDelay, factor, jitter } = this.#options;
    const backoff = Math.round(minDelay * factor ** this.#attempts * (1 + jitter * Math.random()));
    const delay = atOnce ? 0 : this.#offline ? maxDelay : Math.min(maxDelay, backoff);
    this.#stopWaiting();
    this.#retryTimer = setTimeout(() => this.retryNow(), delay);
    emit(this, "reconnecting", { attempt: ++this.#attempts, delay, at: Date.now() + delay });
  }

  /** Hears what the browser says of the network and of the page, until it is over. */
  #listen() {
    const look = () => (this.retryNow(), this.#link.watch());
    /** @type {Record<string, (event: any) => unknown>} */
    const listeners = {
      offline: () => {
        this.#offline = true;
        if (this.#retryTimer) this.#wait();
      },
      online: () => {
        this.#offline = false;
        this.#attempts = 0; // what failed without a network says nothing about the server
        look();
      },
      visibilitychange: () => document.hidden || look(),
      // The browser may keep the page for a way back. It would not be heard of there, and still count as here.
      pagehide: (event) => event.persisted && this.drop(AWAY),
    };
    for (const type in listeners) addEventListener(type, listeners[type], { signal: this.#listeners.signal });
  }
}
