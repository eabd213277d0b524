/** A room: subscribing, recovering after each reconnect, and what can be asked and said in it. */

import { REFUSED, RESUBSCRIBE, ROOM_EXPIRED, TOKEN_EXPIRED } from "./codes.js";
import { emit, emitError } from "./emit.js";
import { renewedToken } from "./token.js";

/** @import { Commands, HistoryOptions, HubError, Position, Publication, Push } from "./types.d.ts" */
/** @import { RoomOptions, RoomState, RoomTarget, SubscribeResult } from "./types.d.ts" */

/** States, and the events that tell of them. */
const STATES = /** @type {const} */ (["unsubscribed", "subscribing", "subscribed"]);
const [UNSUBSCRIBED, SUBSCRIBING, SUBSCRIBED] = STATES;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 20_000;

/** One room. `hub.room(name)` makes it; nothing happens before `subscribe()`. */
export class Room extends /** @type {RoomTarget} */ (EventTarget) {
  /** @type {RoomState} "unsubscribed", "subscribing" or "subscribed". */
  state = UNSUBSCRIBED;
  /** @type {Position | null} Where it stands: `epoch` and `offset`; null where nothing can be recovered. */
  position = null;
  /** Whether the server has begun it, not the user. */
  isServerSide = false;
  #commands;
  #options;
  #token;
  /** @type {object | null} The present attempt to come in; answers to earlier ones are not heard. */
  #attempt = null;
  /** Failures in a row. */
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} Tries again. */
  #timer;

  /** @param {string} name @param {RoomOptions} options @param {Commands} commands */
  constructor(name, options, commands) {
    super();
    const { getToken, since = null, joinLeave, ...others } = options; // these are the protocol's names
    /** Its name. */
    this.name = name;
    this.position = since;
    this.#options = { ...others, join_leave: joinLeave };
    this.#commands = commands;
    this.#token = renewedToken(
      getToken && (() => getToken(name)),
      (token, keep) => commands.first("sub_refresh", { channel: name, token }, keep),
      (error) => emitError(this, error),
    );
  }

  /** Comes in, and again after every reconnect. `subscribed` tells when, `unsubscribed` that it may not.
   *  @param {{ since?: Position }} [options] what the user has seen: all that followed comes first */
  subscribe({ since } = {}) {
    if (this.state !== UNSUBSCRIBED) return;
    if (since) this.position = since;
    this.state = SUBSCRIBING;
    void this.enter();
  }

  /** Leaves, and forgets where it stood. */
  unsubscribe() {
    if (this.state !== UNSUBSCRIBED && this.#commands.isOpen) {
      this.#commands.first("unsubscribe", { channel: this.name });
    }
    this.end(0, "left");
  }

  /** Publishes. While there is no connection it waits; it is never sent twice. Resolves when the server has
   * it. @param {unknown} data anything that JSON can say */
  async publish(data) { await this.#ask("publish", { data }); }

  /** What the room remembers, and where it stands. @param {HistoryOptions} [options] */
  async history(options = {}) {
    const page = await this.#ask("history", { ...options, limit: options.limit ?? 100 });
    return { publications: [], epoch: "", offset: 0, ...page };
  }

  /** Who is there: one entry for each connection. */
  async presence() { return Object.values((await this.#ask("presence")).presence); }

  /** How many are there. */
  async presenceStats() {
    const { num_clients: clients, num_users: users } = await this.#ask("presence_stats");
    return { clients, users };
  }

  /** @template {"publish" | "history" | "presence" | "presence_stats"} Method @param {Method} method
   *  @param {object} [request] @returns {Promise<import("./types.d.ts").Replies[Method]>} */
  #ask(method, request) {
    return this.#commands.ask(method, /** @type {any} */ ({ channel: this.name, ...request }), this);
  }

  // For the hub

  /** What is asked about the room has to wait for a token. */
  get isHeld() { return this.#attempt && this.#token.isMissing(); }

  /** Asks the server, if that is wanted and possible now. */
  async enter() {
    clearTimeout(this.#timer);
    if (this.state !== SUBSCRIBING || this.#attempt || !this.#commands.isOpen) return;
    const attempt = (this.#attempt = {});
    const isMine = () => attempt === this.#attempt;
    const refused = (/** @type {HubError} */ error) => void (isMine() && this.#refused(error));
    try {
      if (this.#token.isMissing()) await this.#token.get();
      const { name: channel, position: at } = this;
      const recovery = at && { recover: true, epoch: at.epoch, offset: at.offset };
      const request = { channel, token: this.#token.value(), ...this.#options, ...recovery };
      const accepted = (/** @type {SubscribeResult} */ result) => void (isMine() && this.accept(result));
      if (isMine()) this.#commands.first("subscribe", request, accepted, refused);
    } catch (error) {
      refused(/** @type {HubError} */ (error));
    }
  }

  /** The server has let it in. @param {SubscribeResult} result @param {boolean} [isServerSide] */
  accept(result, isServerSide = false) {
    const { epoch = "", offset = 0, recovered, was_recovering, data, publications } = result;
    this.lost();
    this.state = SUBSCRIBED;
    this.isServerSide = isServerSide;
    this.position = result.recoverable ? { epoch, offset } : null;
    this.#failures = 0;
    this.#token.keep(result);
    const { position } = this;
    emit(this, SUBSCRIBED, { recovered: !!recovered, wasRecovering: !!was_recovering, position, data });
    publications?.forEach(this.#published);
  }

  /** The server says something about the room. @param {Push} push */
  hear({ pub, join, leave, unsubscribe, subscribe }) {
    if (subscribe) this.accept(subscribe, true);
    if (pub) this.#published(pub);
    if (join) emit(this, "join", join.info);
    if (leave) emit(this, "leave", leave.info);
    if (!unsubscribe) return;
    const { code, reason } = unsubscribe;
    if (code < RESUBSCRIBE || this.isServerSide) return this.end(code, reason);
    if (code === ROOM_EXPIRED) this.#token.drop();
    this.#wait();
  }

  /** It is not in any more: the connection is lost, or the server has put it out for now. */
  lost() {
    this.#attempt = null;
    clearTimeout(this.#timer);
    this.#token.keep();
    if (this.state === SUBSCRIBED) this.state = SUBSCRIBING;
  }

  /** It is over, until the user wants it again. @param {number} code @param {string} [reason] */
  end(code, reason = "") {
    if (this.state === UNSUBSCRIBED) return;
    this.lost();
    this.state = UNSUBSCRIBED;
    this.isServerSide = false;
    this.position = null;
    this.#token.drop();
    this.#commands.flush(); // what was held has nothing to wait for
    emit(this, UNSUBSCRIBED, { code, reason });
  }

  /** @param {Publication} publication */
  #published = (publication) => {
    const { offset } = publication;
    if (this.state !== SUBSCRIBED) return; // a listener has left
    if (this.position && offset) this.position = { ...this.position, offset };
    emit(this, "publication", publication);
  };

  /** @param {HubError} error */
  #refused(error) {
    const { code = 0, message, temporary } = error;
    const isOld = code === TOKEN_EXPIRED && this.#token.drop();
    if (!isOld && !temporary && code >= REFUSED) return this.end(code, message);
    emitError(this, error);
    this.#wait();
  }

  #wait() {
    this.lost();
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.enter(), delay);
  }
}
