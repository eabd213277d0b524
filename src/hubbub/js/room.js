/** A room: subscribing, recovering after each reconnect, and what can be asked and said in it. */

import { emit } from "./commands.js";
import { renewedToken } from "./token.js";

/** @import { Commands, HistoryOptions, HubError, Position, Publication, Push } from "./types.d.ts" */
/** @import { RoomOptions, RoomState, RoomTarget, SubscribeResult } from "./types.d.ts" */

const FIRST_DELAY = 500;
const LONGEST_DELAY = 20_000;
const TOKEN_EXPIRED = 109;
/** Unsubscribed with this code or a higher one, the client comes back. */
const RESUBSCRIBE = 2500;
const EXPIRED = 2501;

const Target = /** @type {RoomTarget} */ (EventTarget);

/** One room. `hub.room(name)` makes it; nothing happens before `subscribe()`. */
export class Room extends Target {
  /** @type {RoomState} "unsubscribed", "subscribing" or "subscribed". */
  state = "unsubscribed";
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
    const { getToken, since = null } = options;
    /** Its name. */
    this.name = name;
    this.position = since;
    this.#options = options;
    this.#commands = commands;
    const keep = (/** @type {any} */ result) => this.#token.keep(result);
    this.#token = renewedToken(
      getToken && (() => getToken(name)),
      null,
      (token) => this.#commands.askFirst("sub_refresh", /** @type {any} */ ({ channel: name, token }), keep),
      (error) => emit(this, "error", { error }),
    );
  }

  /** Comes in, and again after every reconnect. `subscribed` tells when, `unsubscribed` that it may not.
   *  @param {{ since?: Position }} [options] what the user has seen: all that followed comes first */
  subscribe({ since } = {}) {
    if (this.state !== "unsubscribed") return;
    if (since) this.position = { epoch: since.epoch, offset: since.offset };
    this.state = "subscribing";
    void this.enter();
  }

  /** Leaves, and forgets where it stood. */
  unsubscribe() {
    if (this.state !== "unsubscribed" && this.#commands.isOpen) {
      this.#commands.askFirst("unsubscribe", { channel: this.name });
    }
    this.end(0, "unsubscribe called");
  }

  /** Publishes. While there is no connection it waits; it is never sent twice. Resolves when the server has
   * it. @param {unknown} data anything that JSON can say */
  async publish(data) { await this.#ask("publish", { data }); }

  /** What the room remembers, and where it stands. @param {HistoryOptions} [options] */
  async history({ limit = 100, since, reverse } = {}) {
    const page = await this.#ask("history", { limit, since, reverse });
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
  get isHeld() { return !!this.#attempt && this.#token.isMissing(); }

  /** Asks the server, if that is wanted and possible now. */
  async enter() {
    clearTimeout(this.#timer);
    if (this.state !== "subscribing" || this.#attempt || !this.#commands.isOpen) return;
    const attempt = (this.#attempt = {});
    /** @type {(then: Function) => (it: any) => void} */
    const mine = (then) => (it) => attempt === this.#attempt && then(it);
    const again = mine((/** @type {HubError} */ error) => this.#refused(error));
    if (this.#token.isMissing()) await this.#token.get().catch(again);
    const { data, recoverable, joinLeave: join_leave } = this.#options;
    const recovery = this.position && { recover: true, ...this.position };
    const token = this.#token.value();
    const request = { channel: this.name, token, data, recoverable, join_leave, ...recovery };
    const ask = () => this.#commands.askFirst("subscribe", request, mine(this.accept.bind(this)), again);
    mine(ask)(0);
  }

  /** The server has let it in. @param {SubscribeResult} result @param {boolean} [isServerSide] */
  accept(result, isServerSide = false) {
    const { epoch = "", offset = 0, recovered = false, was_recovering: wasRecovering = false, data } = result;
    this.lost();
    this.state = "subscribed";
    this.isServerSide = isServerSide;
    this.position = result.recoverable ? { epoch, offset } : null;
    this.#failures = 0;
    this.#token.keep(result);
    emit(this, "subscribed", { recovered, wasRecovering, position: this.position, data });
    result.publications?.forEach((publication) => this.#published(publication));
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
    if (code === EXPIRED) this.#token.drop();
    this.#wait();
  }

  /** It is not in any more: the connection is lost, or the server has put it out for now. */
  lost() {
    this.#attempt = null;
    clearTimeout(this.#timer);
    this.#token.keep();
    if (this.state === "subscribed") this.state = "subscribing";
  }

  /** It is over, until the user wants it again. @param {number} code @param {string} [reason] */
  end(code, reason = "") {
    if (this.state === "unsubscribed") return;
    this.lost();
    this.state = "unsubscribed";
    this.isServerSide = false;
    this.position = null;
    this.#token.drop();
    this.#commands.flush(); // what was held has nothing to wait for
    emit(this, "unsubscribed", { code, reason });
  }

  /** @param {Publication} publication */
  #published(publication) {
    const { offset } = publication;
    if (this.state !== "subscribed") return; // a listener has left
    if (this.position && offset) this.position = { ...this.position, offset };
    emit(this, "publication", publication);
  }

  /** @param {HubError} error */
  #refused(error) {
    const { code = 0, message, temporary } = error;
    const isOld = code === TOKEN_EXPIRED && this.#token.drop();
    if (!isOld && !temporary && code >= 100) return this.end(code, message);
    emit(this, "error", { error });
    this.#wait();
  }

  #wait() {
    this.lost();
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.enter(), delay);
  }
}
