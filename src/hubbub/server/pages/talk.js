/** One room that the user is in: what was said there, what is not read yet, and what can be done there. */

import { identity } from "./identity.js";
import { Transcript } from "./transcript.js";
import { markOf, remember } from "./visited.js";

/** @import { Hub, Publication, Room } from "/hubbub.js" */
/** @import { Message } from "./transcript.js" */

/** Messages that are read at once. */
const PAGE = 50;

/** Events: "loaded" (other messages, or others of them are one's own), "message", "changed", "older" (messages
 *  before these), "subscribed", "join", "leave", "refused", "unread". */
export class Talk extends EventTarget {
  transcript = new Transcript();
  /** What the server calls this browser; empty before it was there. */
  author = "";
  /** Others' messages that nobody has looked at. */
  unread = 0;
  /** @type {Room | undefined} At the present connection. */
  room;
  #epoch = "";
  #isLoading = false;

  /** @param {string} name */
  constructor(name) {
    super();
    this.name = name;
  }

  /** Follows the room over a connection, in place of any other. @param {Hub} hub */
  follow(hub) {
    const { name, key } = identity;
    const room = hub.room(`chat:${this.name}`, { data: { name, key }, joinLeave: true });
    const on = (target, type, listener) =>
      target.addEventListener(type, ({ detail }) => room === this.room && listener(detail));
    this.room = room;
    this.hub = hub;
    on(hub, "connected", () => room.state === "unsubscribed" && this.#begin());
    on(room, "subscribed", (detail) => this.#subscribed(detail));
    on(room, "publication", (publication) => this.#heard(publication));
    on(room, "join", (info) => this.#emit("join", info));
    on(room, "leave", (info) => this.#emit("leave", info));
    on(room, "unsubscribed", (end) => end.code && this.#emit("refused", end));
    if (hub.state === "connected") this.#begin();
  }

  /** Is not in the room any more. */
  leave() {
    this.room?.unsubscribe();
    this.room = undefined;
  }

  /** Reads what was said before. */
  async loadOlder() {
    const { room, transcript } = this;
    if (!transcript.hasOlder || this.#isLoading || room?.state !== "subscribed") return;
    this.#isLoading = true;
    const since = { epoch: this.#epoch, offset: transcript.oldest };
    const page = await room.history({ limit: PAGE, since, reverse: true }).catch(() => null);
    this.#isLoading = false;
    if (transcript !== this.transcript || !page) return;
    this.#emit("older", transcript.addOlder(page.publications, page.publications.length === PAGE));
  }

  /** Calls one of the chat's methods here. @param {"say" | "edit" | "delete"} method @param {object} data */
  call(method, data) {
    return this.hub.rpc(`chat.${method}`, { room: this.name, ...data });
  }

  /** The user has seen all of it. */
  markRead() {
    const offset = this.transcript.messages.findLast((message) => message.offset)?.offset ?? 0;
    if (this.#epoch) remember(this.name, { epoch: this.#epoch, offset });
    this.unread = 0;
    this.#emit("unread");
  }

  /** Somebody came or went. @param {string} text */
  notice(text) {
    this.#emit("message", this.transcript.notice(text));
  }

  /** Whether the message is this browser's. @param {Message} message */
  isMine({ author }) {
    return author !== "" && author === this.author;
  }

  /** Reads the newest messages, and comes in just after them: nothing is missed, nothing comes twice. */
  async #begin() {
    const { room } = this;
    const page = await room.history({ limit: PAGE, reverse: true }).catch(() => null);
    if (room !== this.room || this.hub.state !== "connected") return;
    if (page) this.#load(page);
    room.subscribe({ since: page });
  }

  #load({ epoch, publications }) {
    this.transcript = new Transcript();
    this.#epoch = epoch;
    this.transcript.addOlder(publications, publications.length === PAGE);
    this.#emit("loaded");
  }

  #subscribed({ recovered, wasRecovering, data }) {
    if (wasRecovering && !recovered) { // away for too long
      this.room.unsubscribe();
      this.#begin();
      return;
    }
    if (this.author !== data?.author) {
      this.author = data?.author ?? "";
      this.#emit("loaded"); // it is known now which messages are this browser's
    }
    this.#count();
    queueMicrotask(() => this.#emit("subscribed")); // after what was missed, which comes next
  }

  /** @param {Publication} publication */
  #heard(publication) {
    const { message, isNew } = this.transcript.add(publication);
    if (!message) return;
    this.#emit(isNew ? "message" : "changed", message);
    if (isNew) this.#count();
  }

  #count() {
    const mark = markOf(this.name);
    const seen = mark?.epoch === this.#epoch ? mark.offset : 0;
    const isUnread = (message) => message.offset > seen && !this.isMine(message);
    this.unread = this.transcript.messages.filter(isUnread).length;
    this.#emit("unread");
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
