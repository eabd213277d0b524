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

import { makeLink } from "./link.js";
import { refuse, sendQueue, sizeOf } from "./queue.js";

/** @import { Link, LinkEnd, LinkOptions, ReconnectOptions, Sendable, SendQueue } from "./types.d.ts" */
/** @import { SocketMaker, TargetClass } from "./types.d.ts" */

const [CONNECTING, OPEN, CLOSING, CLOSED] = /** @type {const} */ ([0, 1, 2, 3]);

/** What `send()` takes: binary data, copied as it is now, or else text (Web IDL). @param {unknown} data */
function snapshot(data) {
  if (data instanceof Blob) return data;
  if (data instanceof ArrayBuffer) return data.slice(0);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return String(data);
}

/** Whether the server says not to come back. @param {LinkEnd} end */
function isTerminal({ code, wasClean }) {
  const final = code === 1008 || (code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999);
  return final || (code === 1000 && wasClean);
}

/** Resolves it as the browser does. @param {string | URL} url @throws {DOMException} SyntaxError */
function resolveUrl(url) {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  const resolved = URL.canParse(url, base) ? new URL(url, base) : null;
  if (resolved) resolved.protocol = resolved.protocol.replace(/^http/, "ws");
  if (resolved && /^wss?:[^#]*$/.test(resolved.href)) return resolved;
  return refuse("SyntaxError", `'${url}' is not a WebSocket URL without a fragment`);
}

/** They are distinct tokens (RFC 6455, section 4.1). @param {string | string[]} protocols */
function checkProtocols(protocols) {
  const list = [protocols].flat().map(String);
  const areValid = list.every((name) => /^[!#$%&'*+\-.^_`|~\w]+$/.test(name));
  if (areValid && new Set(list).size === list.length) return list;
  return refuse("SyntaxError", `Not distinct tokens: ${list}`);
}

/** @param {number} [code] @param {string} [reason] @throws {DOMException} InvalidAccessError, SyntaxError */
function checkClose(code = 1000, reason = "") {
  const isAllowed = Number(code) === 1000 || (code >= 3000 && code <= 4999);
  if (!isAllowed) refuse("InvalidAccessError", "Close codes are 1000 and 3000 to 4999");
  if (sizeOf(String(reason)) > 123) refuse("SyntaxError", "Close reasons have 123 bytes");
}

const { defineProperty } = Object;

/** @type {any} Times in ms. */
const DEFAULTS = {
  getToken: () => null,
  tokenParam: "token",
  minDelay: 1000,
  maxDelay: 30_000,
  factor: 2,
  jitter: 0.25,
  connectTimeout: 10_000,
  maxQueueBytes: 1 << 20,
  heartbeat: false,
};
const Target = /** @type {TargetClass} */ (EventTarget);

/** A WebSocket that reconnects; the head of this file says how. @implements {WebSocket} */
export class ReconnectingWebSocket extends Target {
  /** @type {LinkOptions} What the user asked for, defaults filled in. */
  #options;
  /** @type {SendQueue<Sendable>} What waits for a connection. */
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
  /** @type {Map<string, Function | null>} The `on...` handlers. */
  #handlers = new Map();
  /** Whether an `offline` event came. `navigator.onLine` is wrong where there is only localhost. */
  #offline = false;
  /** Whether 4401 has had its attempt at once, and no connection has lasted since. */
  #tokenRetried = false;
  /** Bytes given to `send()` after the end; `bufferedAmount` counts them, as the browser's does. */
  #discarded = 0;
  /** Takes back the listeners on window and document. */
  #listeners = new AbortController();

  /** @param {string | URL} url Absolute or relative; http and https become ws and wss.
   *  @param {string | string[]} [protocols] @param {ReconnectOptions} [options]
   *  @param {SocketMaker} [makeSocket] Makes what is used like the browser's socket, and is one by default.
   *  @throws {DOMException} SyntaxError for a bad URL or bad subprotocols, as the browser's. */
  constructor(url, protocols = [], options = {}, makeSocket = (...target) => new WebSocket(...target)) {
    super();
    if (url === undefined) throw new TypeError("A WebSocket needs a URL");
    const resolved = { url: resolveUrl(url), protocols: checkProtocols(protocols), makeSocket };
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = { ...DEFAULTS, ...Object.fromEntries(given), ...resolved };
    this.#options.watchdog ??= this.#options.heartbeat ? 45_000 : 0;
    this.#queue = sendQueue(this.#options.maxQueueBytes);
    for (const type of ["offline", "online", "visibilitychange"]) {
      globalThis.addEventListener(type, () => this.#noticed(type), { signal: this.#listeners.signal });
    }
    this.#link = this.#connect();
  }

  static {
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
      for (const target of [this, this.prototype]) defineProperty(target, name, { value, enumerable: true });
    }
    for (const type of ["open", "message", "error", "close", "reconnecting"]) {
      defineProperty(this.prototype, `on${type}`, {
        /** @this {ReconnectingWebSocket} */
        get() { return this.#handlers.get(type) ?? null; },
        /** @this {ReconnectingWebSocket} @param {unknown} handler */
        set(handler) {
          const call = (/** @type {Event} */ event) => this.#handlers.get(type)?.call(this, event);
          if (!this.#handlers.has(type)) this.addEventListener(/** @type {"open"} */ (type), call);
          this.#handlers.set(type, typeof handler === "function" ? handler : null);
        },
        enumerable: true,
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
    return this.#queue.bytes + this.#discarded + (this.#connection?.bufferedAmount ?? 0);
  }

  /** "blob" or "arraybuffer". */
  get binaryType() { return this.#binaryType; }
  set binaryType(type) {
    if (type !== "blob" && type !== "arraybuffer") return;
    this.#binaryType = type;
    if (this.#link.socket) this.#link.socket.binaryType = type;
  }

  /** Sends now, or queues while there is no connection. After the end it drops the message with a warning in
   * the console, and counts it in `bufferedAmount`, as the browser does.
   * @param {Sendable} data Text, Blob, ArrayBuffer or a view of one; anything else is sent as text.
   * @throws {DOMException} QuotaExceededError when the queue is full; nothing of `data` is queued then. */
  send(data) {
    if (arguments.length === 0) throw new TypeError("send() needs the data to send");
    const message = snapshot(data);
    if (this.#readyState >= CLOSING) {
      this.#discarded += sizeOf(message);
      console.warn("ReconnectingWebSocket is closed: a message was dropped");
    } else if (this.#readyState !== OPEN || !this.#link.send(message)) {
      this.#queue.push(message, sizeOf(message));
    }
  }

  /** Closes the connection, or ends the attempts, for good. What is queued stays unsent, in `bufferedAmount`.
   * @param {number} [code] 1000, or 3000 to 4999. @param {string} [reason] At most 123 bytes of UTF-8.
   * @throws {DOMException} InvalidAccessError for another code, SyntaxError for a longer reason. */
  close(code, reason) {
    checkClose(code, reason);
    if (this.#readyState >= CLOSING) return;
    this.#readyState = CLOSING;
    clearTimeout(this.#retryTimer);
    this.#link.close(code, reason);
  }

  /** Ends a wait with an attempt at once; without a wait it does nothing. Not in the browser's interface. */
  retryNow() {
    if (this.#readyState === CONNECTING && this.#retryTimer !== undefined) this.#link = this.#connect();
  }

  /** Takes the present connection for ended with this code, which says what follows. Without one it does
   * nothing. Not in the browser's interface. @param {number} code @param {string} [reason] */
  drop(code, reason = "") {
    if (this.#readyState === OPEN) this.#link.drop(code, reason);
  }

  /** The option: ms of silence after which a link is given up; 0 is never. Not in the browser's interface. */
  get watchdog() { return this.#options.watchdog; }
  set watchdog(silence) {
    this.#options.watchdog = silence;
    this.#link.checkSilence();
  }

  /** The browser's socket, unless there is no connection yet or none at present. */
  get #connection() { return this.#readyState === CONNECTING ? null : this.#link.socket; }

  #connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const link = makeLink(this.#options, {
      onopen: () => this.#opened(),
      onmessage: ({ data, origin }) => {
        this.dispatchEvent(new MessageEvent("message", { data, origin }));
        if (!link.hasEnded) this.#attempts = 0; // what made a listener drop it was no success
      },
      onend: (end) => this.#ended(end),
    });
    void link.connect();
    return link;
  }

  #opened() {
    if (this.#readyState !== CONNECTING) return;
    this.#readyState = OPEN;
    this.binaryType = this.#binaryType;
    this.dispatchEvent(new Event("open"));
    this.#queue.drain((data) => this.#link.send(data));
  }

  /** @param {LinkEnd} end */
  #ended(end) {
    if (this.#readyState >= CLOSING || isTerminal(end)) return this.#finish(end);
    const lasted = Date.now() - this.#link.openedAt >= this.#options.minDelay;
    if (lasted) this.#attempts = 0;
    const atOnce = end.code === 4401 && (lasted || !this.#tokenRetried);
    this.#tokenRetried = end.code === 4401 || (this.#tokenRetried && !lasted);
    this.#readyState = CONNECTING;
    this.#dispatchEnd(end);
    if (this.#readyState === CONNECTING) this.#wait(atOnce ? 0 : this.#nextDelay()); // no listener closed it
  }

  #nextDelay() {
    const { minDelay, maxDelay, factor, jitter } = this.#options;
    const delay = minDelay * factor ** this.#attempts * (1 + jitter * Math.random());
    return this.#offline ? maxDelay : Math.min(maxDelay, Math.round(delay));
  }

  /** @param {number} delay in ms */
  #wait(delay) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.retryNow(), delay);
    const detail = { attempt: ++this.#attempts, delay, at: Date.now() + delay };
    this.dispatchEvent(new CustomEvent("reconnecting", { detail }));
  }

  /** @param {LinkEnd} end */
  #finish(end) {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSED;
    this.#listeners.abort();
    this.#dispatchEnd(end);
  }

  /** @param {LinkEnd} end */
  #dispatchEnd(end) {
    if ("error" in end) this.dispatchEvent(new ErrorEvent("error", { ...end, message: end.reason }));
    this.dispatchEvent(new CloseEvent("close", end));
  }

  /** Hears what the browser says of the network and of the page. @param {string} type */
  #noticed(type) {
    if (type === "visibilitychange" && document.visibilityState !== "visible") return;
    if (type !== "visibilitychange") this.#offline = type === "offline";
    if (type === "offline") return this.#retryTimer !== undefined && this.#wait(this.#options.maxDelay);
    if (type === "online") this.#attempts = 0; // what failed without a network says nothing about the server
    this.retryNow();
    this.#link.checkSilence();
  }
}
