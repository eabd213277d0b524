/**
 * Hubbub's browser client: a WebSocket that comes back by itself.
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

/** @import { LinkEnd, LinkOptions, LinkOwner, ReconnectOptions, Sendable } from "./types.d.ts" */
/** @import { TargetClass } from "./types.d.ts" */

const [CONNECTING, OPEN, CLOSING, CLOSED] = /** @type {const} */ ([0, 1, 2, 3]);
const PING = /^\s*\{\s*"type"\s*:\s*"ping"\s*\}\s*$/;

/** Bytes, as `bufferedAmount` counts them. @param {Sendable} data */
function sizeOf(data) {
  if (typeof data === "string") return new TextEncoder().encode(data).length;
  return data instanceof Blob ? data.size : data.byteLength;
}

/** What `send()` takes: binary data, copied as it is now, or else text (Web IDL). @param {unknown} data */
function snapshot(data) {
  if (data instanceof Blob) return data;
  if (data instanceof ArrayBuffer) return data.slice(0);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  return String(data);
}

/** Messages that wait for a connection. */
class SendQueue {
  /** Most bytes, and most messages: an empty one has no bytes but takes room. */
  #limit;
  /** @type {Sendable[]} What waits, oldest first. */
  #messages = [];
  /** Bytes that wait. */
  bytes = 0;

  /** @param {number} limit in bytes */
  constructor(limit) { this.#limit = limit; }

  /** @param {Sendable} data @throws {DOMException} QuotaExceededError, and nothing is queued */
  push(data) {
    const bytes = this.bytes + sizeOf(data);
    const isFull = bytes > this.#limit || this.#messages.length >= this.#limit;
    if (isFull) throw new DOMException(`More than ${this.#limit} bytes would wait`, "QuotaExceededError");
    this.#messages.push(data);
    this.bytes = bytes;
  }

  /** Hands over, oldest first, for as long as they are taken. @param {(data: Sendable) => boolean} take */
  drain(take) {
    while (this.#messages.length > 0 && take(this.#messages[0])) {
      this.bytes -= sizeOf(this.#messages.shift() ?? "");
    }
  }
}

/** One attempt, and the connection it becomes. It ends exactly once, whatever the browser's socket does. */
class Link {
  /** @type {WebSocket | null} The browser's socket; null while the token is being fetched. */
  socket = null;
  /** When it opened, as `Date.now()` counts; Infinity until then. */
  openedAt = Infinity;
  /** Where to connect, and within which limits. */
  #options;
  /** Hears of its life. */
  #owner;
  /** Whether it is over. */
  #ended = false;
  /** @type {ReturnType<typeof setTimeout>} Limits the attempt, later watches for silence. */
  #timer;
  /** When the last message came. `Date.now()` also counts the time that the computer sleeps. */
  #heardAt = 0;

  /** @param {LinkOptions} options @param {LinkOwner} owner */
  constructor(options, owner) {
    this.#options = options;
    this.#owner = owner;
    this.#timer = setTimeout(() => this.abandon("no connection in time"), options.connectTimeout);
  }

  /** Whether the browser's socket takes messages. */
  get isOpen() { return !this.#ended && this.socket?.readyState === OPEN; }

  /** Never rejects: a failure ends the link. */
  async connect() {
    const { getToken, tokenParam, heartbeat, protocols } = this.#options;
    try {
      const token = await getToken();
      if (this.#ended) return;
      const url = new URL(this.#options.url);
      if (token) url.searchParams.set(tokenParam, token);
      if (heartbeat) url.searchParams.set("heartbeat", "1");
      const socket = (this.socket = new WebSocket(url, protocols));
      let failure = {};
      socket.onopen = () => this.#opened();
      socket.onmessage = (event) => this.#received(event);
      socket.onerror = () => (failure = { error: undefined });
      socket.onclose = ({ code, reason, wasClean }) => this.#end({ code, reason, wasClean, ...failure });
    } catch (error) {
      this.abandon(`could not connect: ${error}`, error);
    }
  }

  /** @param {Sendable} data @returns {boolean} whether the browser's socket took it */
  send(data) {
    if (this.isOpen) this.socket?.send(data);
    return this.isOpen;
  }

  /** Ends it for the user, who hears of it even if it had ended before.
   *  @param {number} [code] @param {string} [reason] */
  close(code, reason) {
    const end = { code: 1006, reason: "", wasClean: false };
    if (this.#ended) queueMicrotask(() => this.#owner.onend(end));
    else if (!this.socket) this.#end(end);
    else this.socket.close(reason === undefined ? code : (code ?? 1000), reason);
  }

  /** Ends it without waiting for the browser's socket. @param {string} reason @param {unknown} [error] */
  abandon(reason, error) {
    this.#end({ code: 1006, reason, wasClean: false, error });
  }

  /** Ends it when it has been silent for too long, else looks again in time. */
  checkSilence() {
    const { watchdog } = this.#options;
    if (!this.isOpen || !watchdog) return;
    clearTimeout(this.#timer);
    const left = this.#heardAt + watchdog - Date.now();
    if (left <= 0) this.abandon("silent for too long");
    else this.#timer = setTimeout(() => this.checkSilence(), left);
  }

  #opened() {
    clearTimeout(this.#timer);
    this.openedAt = this.#heardAt = Date.now();
    this.checkSilence();
    this.#owner.onopen();
  }

  /** @param {MessageEvent} event */
  #received(event) {
    this.#heardAt = Date.now();
    const isPing = this.#options.heartbeat && typeof event.data === "string" && PING.test(event.data);
    if (isPing) this.send("pong");
    else this.#owner.onmessage(event);
  }

  /** @param {LinkEnd} end */
  #end(end) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.socket?.close(); // the browser tells nothing more of it that is heard
    queueMicrotask(() => this.#owner.onend(end)); // never within the user's own call of close()
  }
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
  if (resolved && /^wss?:$/.test(resolved.protocol) && !resolved.href.includes("#")) return resolved;
  throw new DOMException(`'${url}' is not a WebSocket URL without a fragment`, "SyntaxError");
}

/** They are distinct tokens (RFC 6455, section 4.1). @param {string | string[]} protocols */
function checkProtocols(protocols) {
  const list = typeof protocols === "string" ? [protocols] : [...protocols].map(String);
  const valid = list.every((name) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name));
  if (valid && new Set(list).size === list.length) return list;
  throw new DOMException(`Subprotocols must be distinct tokens, not '${list.join("', '")}'`, "SyntaxError");
}

/** @param {number} [code] @param {string} [reason] @throws {DOMException} InvalidAccessError, SyntaxError */
function checkClose(code = 1000, reason = "") {
  const isAllowed = Number(code) === 1000 || (code >= 3000 && code <= 4999);
  if (!isAllowed) throw new DOMException("Close codes are 1000 and 3000 to 4999", "InvalidAccessError");
  if (sizeOf(String(reason)) > 123) throw new DOMException("Close reasons have 123 bytes", "SyntaxError");
}

const Target = /** @type {TargetClass} */ (EventTarget);

/** A WebSocket that reconnects; the head of this file says how. @implements {WebSocket} */
export class ReconnectingWebSocket extends Target {
  /** What the user asked for, defaults filled in. */
  #options;
  /** What waits for a connection. */
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
   *  @throws {DOMException} SyntaxError for a bad URL or bad subprotocols, as the browser's. */
  constructor(url, protocols = [], options = {}) {
    super();
    if (url === undefined) throw new TypeError("A WebSocket needs a URL");
    const { getToken = () => null, tokenParam = "token", heartbeat = false } = options;
    const { connectTimeout = 10_000, watchdog = heartbeat ? 45_000 : 0, maxQueueBytes = 1 << 20 } = options;
    const { minDelay = 1000, maxDelay = 30_000, factor = 2, jitter = 0.25 } = options;
    const resolved = { url: resolveUrl(url), protocols: checkProtocols(protocols) };
    const delays = { minDelay, maxDelay, factor, jitter };
    this.#options = { ...resolved, ...delays, getToken, tokenParam, heartbeat, connectTimeout, watchdog };
    this.#queue = new SendQueue(maxQueueBytes);
    for (const type of ["offline", "online", "visibilitychange"]) {
      globalThis.addEventListener(type, () => this.#noticed(type), { signal: this.#listeners.signal });
    }
    this.#link = this.#connect();
  }

  static {
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSING, CLOSED })) {
      Object.defineProperty(this, name, { value, enumerable: true });
      Object.defineProperty(this.prototype, name, { value, enumerable: true });
    }
    for (const type of ["open", "message", "error", "close", "reconnecting"]) {
      Object.defineProperty(this.prototype, `on${type}`, {
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
      this.#queue.push(message);
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

  /** The browser's socket, unless there is no connection yet or none at present. */
  get #connection() { return this.#readyState === CONNECTING ? null : this.#link.socket; }

  #connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    const link = new Link(this.#options, {
      onopen: () => this.#opened(),
      onmessage: ({ data, origin }) => {
        this.#attempts = 0;
        this.dispatchEvent(new MessageEvent("message", { data, origin }));
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
