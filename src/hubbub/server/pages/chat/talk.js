/** One room that the user is in: what was said there, what is not read yet, and what can be done there. */

import { identity } from "./identity.js";
import { Transcript } from "./transcript.js";
import { markOf, remember } from "./visited.js";

/** @import { Hub, Publication, Room } from "/hubbub.js" */
/** @import { Message } from "./transcript.js" */

/** Publications that are read at once. */
const PAGE = 50;

/** Events: "loaded" (the messages begin anew), "message", "changed", "deleted" (an id), "older" (messages before
 *  these), "subscribed", "join", "leave", "refused", "unread". */
export class Talk extends EventTarget {
  transcript = new Transcript();
  /** What the server calls this browser; empty before it was there. */
  author = "";
  /** Others' messages that nobody has looked at. */
  unread = 0;
  /** @type {Room | undefined} At the present connection. */
  room;
  /** Where this page stands; without an epoch it was not there yet. */
  #place = { epoch: "", offset: 0 };
  /** Unread ones that the room does not remember any more. */
  #forgotten = 0;
  #isLoading = false;

  /** @param {string} name */
  constructor(name) {
    super();
    this.name = name;
  }

  /** Follows the room over a connection, in place of any other, from where the user has read.
   *  @param {Hub} hub */
  follow(hub) {
    const { name, key } = identity;
    const room = hub.room(`chat:${this.name}`, { data: { name, key }, joinLeave: true });
    const on = (type, listener) =>
      room.addEventListener(type, ({ detail }) => room === this.room && listener(detail));
    this.room = room;
    this.hub = hub;
    this.#place = { epoch: "", offset: 0 };
    on("subscribed", (detail) => this.#subscribed(detail));
    on("publication", (publication) => this.#heard(publication));
    on("join", (info) => this.#emit("join", info));
    on("leave", (info) => this.#emit("leave", info));
    on("unsubscribed", (end) => end.code && this.#emit("refused", end));
    const mark = markOf(this.name);
    room.subscribe(mark?.epoch ? { since: mark } : {});
  }

  /** Is not in the room any more. */
  leave() {
    this.room?.unsubscribe();
    this.room = undefined;
  }

  /** Reads what was said before. It ends where the rest begins: nothing is missed, nothing comes twice. */
  async loadOlder() {
    const { room, transcript } = this;
    if (!transcript.hasOlder || this.#isLoading || room?.state !== "subscribed") return;
    this.#isLoading = true;
    const since = { epoch: this.#place.epoch, offset: transcript.oldest };
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
    if (this.#place.epoch) remember(this.name, this.#place);
    this.#forgotten = 0;
    this.#count();
  }

  /** Somebody came or went. @param {string} text */
  notice(text) {
    this.#emit("message", this.transcript.notice(text));
  }

  /** Whether the message is this browser's. @param {Message} message */
  isMine({ author }) {
    return author !== "" && author === this.author;
  }

  /** What was missed follows as publications; if that is not possible, the transcript begins anew here. */
  #subscribed({ recovered, position, data }) {
    this.author = data?.author ?? "";
    if (!recovered || !this.#place.epoch) {
      const mark = markOf(this.name);
      const isSame = mark?.epoch === position.epoch;
      this.#forgotten = isSame && !recovered ? position.offset - mark.offset : 0;
      this.#place = { epoch: position.epoch, offset: recovered ? mark.offset : position.offset };
      this.transcript = new Transcript(this.#place.offset + 1);
      if (!mark?.epoch) remember(this.name, this.#place); // what comes from now on is unread
      this.#emit("loaded");
    }
    queueMicrotask(() => { // after what was missed
      this.#count();
      this.#emit("subscribed");
    });
  }

  /** @param {Publication} publication */
  #heard(publication) {
    this.#place.offset = publication.offset;
    const { message, isNew } = this.transcript.add(publication);
    if (publication.tags?.delete) this.#emit("deleted", publication.tags.delete);
    if (!message) return;
    this.#emit(isNew ? "message" : "changed", message);
    if (isNew) this.#count();
  }

  #count() {
    const mark = markOf(this.name);
    const seen = mark?.epoch === this.#place.epoch ? mark.offset : 0;
    const isUnread = (message) => message.offset > seen && !this.isMine(message);
    this.unread = this.#forgotten + this.transcript.messages.filter(isUnread).length;
    this.#emit("unread");
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
