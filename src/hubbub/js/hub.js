/** The client of a hub: one connection, any number of rooms, over the Centrifuge protocol as JSON. */

import { AT_ONCE, CLOSED, EXPIRED, LATER, NORMAL, PUT_OUT, REFUSED, TOKEN_EXPIRED } from "./codes.js";
import { failure, makeCommands } from "./commands.js";
import { emit, emitError } from "./emit.js";
import { ReconnectingWebSocket } from "./reconnecting.js";
import { Room } from "./room.js";
import { eventStream } from "./sse.js";
import { renewedToken } from "./token.js";

/** @import { ConnectResult, HubError, HubOptions, HubState, HubTarget, LinkEnd, Push } from "./types.d.ts" */
/** @import { Expiry, RoomOptions, Token } from "./types.d.ts" */

/** States, and the events that tell of them. */
const STATES = /** @type {const} */ (["connecting", "connected", "disconnected"]);
const [CONNECTING, CONNECTED, DISCONNECTED] = STATES;
/** Silence after a ping that was due, in seconds: then the link is dead. */
const PATIENCE = 10;

/** A connection to a hub, from its making until `close()`; it comes back by itself. */
export class Hub extends /** @type {HubTarget} */ (EventTarget) {
  /** @type {HubState} "connecting", "connected", or "disconnected" for good. */
  state = CONNECTING;
  /** The id of the present connection, as others see it; empty before the first. */
  client = "";
  #options;
  #token;
  #commands;
  #socket;
  /** @type {Map<string, Room>} By name. */
  #rooms = new Map();
  /** @type {boolean | undefined} Whether the server wants its pings answered. */
  #pong;
  /** WebSockets that were tried; NaN once one has opened. Every third attempt is made without. */
  #tried = 0;
  /** @type {HubError | undefined} Why the server does not let it in. */
  #refusal;

  /** @param {string | URL} url Of the endpoint, like "/connection/websocket". @param {HubOptions} [options]
   *  @throws {DOMException} SyntaxError for a bad URL. */
  constructor(url, options = {}) {
    super();
    const { maxQueueBytes = 1 << 20, maxQueue = 1000, fallback = true } = options;
    const fail = (/** @type {unknown} */ error) => emitError(this, error);
    const renew = (/** @type {Token} */ token, /** @type {(expiry: Expiry) => void} */ keep) =>
      this.#commands.first("refresh", { token }, keep, fail);
    this.#options = options;
    this.#token = renewedToken(options.getToken, renew, fail, options.token);
    // Nothing waits in the socket: this class knows better what may be sent after a reconnect.
    const plain = { ...options, maxQueueBytes: 0, getToken: this.#token.get };
    const socket = new ReconnectingWebSocket(url, [], plain, (target) =>
      fallback && this.#tried++ % 3 === 2 ? eventStream(target) : new WebSocket(target),
    );
    this.#socket = socket;
    const write = (/** @type {string} */ frame) => {
      try { socket.send(frame); } catch { /* it is closing: the end that is heard next tells of the loss */ }
    };
    this.#commands = makeCommands(write, maxQueueBytes, maxQueue);
    socket.onopen = this.#opened;
    socket.onmessage = this.#received;
    socket.onerror = (/** @type {any} */ { error }) => error && fail(error);
    socket.onclose = this.#closed;
    socket.onreconnecting = ({ detail }) => emit(this, CONNECTING, detail);
  }

  /** The room of that name, always the same object. @param {string} name @param {RoomOptions} [options] */
  room(name, options = {}) {
    const room = this.#rooms.get(name) ?? new Room(name, options, this.#commands);
    this.#rooms.set(name, room);
    return room;
  }

  /** Calls a method of the application; resolves with what it returns.
   *  @param {string} method @param {unknown} [data] */
  async rpc(method, data) { return (await this.#commands.ask("rpc", { method, data })).data; }

  /** Sends a message that is not answered; resolves when it is on its way. @param {unknown} data */
  send(data) { return this.#commands.ask("send", { data }); }

  /** Ends a wait with an attempt at once. */
  retryNow() { this.#socket.retryNow(); }

  /** Ends the connection, or the attempts, for good. */
  close() { this.#socket.close(NORMAL); }

  #opened = () => {
    const { connectTimeout = 10_000, data, name = "hubbub.js" } = this.#options;
    /** @type {Record<string, object>} */
    const subs = {};
    for (const [room, { isServerSide, position }] of this.#rooms) {
      if (isServerSide && position) subs[room] = { recover: true, ...position };
    }
    if (this.#tried % 3) this.#tried = NaN;
    this.#socket.watchdog = connectTimeout;
    this.#commands.first(
      "connect",
      { token: this.#token.value(), data, name, subs },
      this.#connected,
      this.#refused,
    );
  };

  /** @param {MessageEvent<string>} event */
  #received = ({ data }) => {
    try {
      for (const line of data.split("\n")) {
        const reply = JSON.parse(line);
        if (reply.id) this.#commands.answer(reply);
        else if (reply.push) this.#pushed(reply.push);
        else if (this.#pong) this.#socket.send("{}");
      }
    } catch (error) {
      this.#socket.drop(LATER, `${error}`);
    }
  };

  /** @param {Push} push */
  #pushed(push) {
    const { channel = "", message, disconnect, refresh } = push;
    if (message) emit(this, "message", message);
    else if (refresh) this.#token.keep(refresh);
    else if (disconnect) this.#socket.drop(disconnect.code, disconnect.reason);
    else this.#heardOf(channel).hear(push);
  }

  /** A room; the user is told of one that nobody has asked for. @param {string} name */
  #heardOf(name) {
    const isNew = !this.#rooms.has(name);
    const room = this.room(name);
    if (isNew) emit(this, "room", { room });
    return room;
  }

  /** @param {ConnectResult} result */
  #connected = (result) => {
    const { client, data, subs = {}, ping, pong } = result;
    this.client = client;
    this.state = CONNECTED;
    this.#pong = pong;
    this.#socket.watchdog = ping ? (ping + PATIENCE) * 1000 : 0;
    this.#token.keep(result);
    emit(this, CONNECTED, { client, data });
    this.#commands.isOpen = true;
    for (const name in subs) this.#heardOf(name).accept(subs[name], true);
    for (const room of this.#rooms.values()) {
      if (room.isServerSide && !subs[room.name]) room.end(PUT_OUT, "server unsubscribe");
      void room.enter();
    }
    this.#commands.flush();
  };

  /** @param {HubError} error */
  #refused = (error) => {
    const { code, message, temporary } = error;
    if (!code) return; // lost
    emitError(this, error);
    if (code === TOKEN_EXPIRED && this.#token.drop()) return this.#socket.drop(AT_ONCE, message);
    if (temporary || code < REFUSED) return this.#socket.drop(LATER, message);
    this.#refusal = error;
    this.close();
  };

  /** @param {LinkEnd} end */
  #closed = ({ code, reason = "" }) => {
    const isOver = this.#socket.readyState === CLOSED;
    const why = this.#refusal ?? failure({ code, message: reason });
    if (code === EXPIRED) this.#token.drop();
    this.#token.keep();
    this.state = isOver ? DISCONNECTED : CONNECTING;
    for (const room of this.#rooms.values()) isOver ? room.end(why.code, why.message) : room.lost();
    this.#commands.lost(isOver ? why : undefined);
    if (isOver) emit(this, DISCONNECTED, { code: why.code, reason: why.message });
  };
}
