/** One's own messages on their way. Each has an id from the beginning, so it appears once, however often it is
 *  sent. They survive a reload of the page. */

import { randomHex } from "./identity.js";

const KEY = "hubbub.outbox";
/** Most messages that may wait. */
const MOST = 100;
const AGAIN_MS = 2000;
/** A message whose connection was lost so often may be the reason. */
const MOST_LOST = 5;

/** "waiting" for a connection, "sending", "sent" (it is not back yet), or "failed" for good, with a reason.
 *  @typedef {{ room: string, id: string, text: string, state: string, reason?: string,
 *  lost?: number }} Entry */

/** Event: "change". */
export class Outbox extends EventTarget {
  /** @type {Entry[]} The oldest first. */
  entries = recall();
  #talks;
  /** Rooms from which a message is going out now. */
  #busy = new Set();

  /** @param {(room: string) => import("./talk.js").Talk | undefined} talks finds where to send */
  constructor(talks) {
    super();
    this.#talks = talks;
  }

  /** Puts a message in, and sends it as soon as it can be. False if no more may wait.
   *  @param {string} room @param {string} text */
  add(room, text) {
    if (this.entries.length >= MOST) return false;
    this.entries.push({ room, id: randomHex(8), text, state: "waiting" });
    this.#changed();
    this.flush(room);
    return true;
  }

  /** Sends what waits for a room, one after the other: they arrive in their order. @param {string} room */
  async flush(room) {
    if (this.#busy.has(room)) return;
    this.#busy.add(room);
    for (let entry; (entry = this.#next(room)); ) await this.#send(entry);
    this.#busy.delete(room);
  }

  /** One's own messages have appeared in their room. @param {string[]} ids as all see them */
  arrived(ids) {
    const own = new Set(ids.map((id) => id.split(".")[1]));
    if (this.entries.some(({ id }) => own.has(id))) this.#keep(({ id }) => !own.has(id));
  }

  /** The room was read anew: what is sent is in it, or was there too long ago. @param {string} room */
  reloaded(room) {
    this.#keep((entry) => entry.room !== room || entry.state !== "sent");
  }

  /** The user has left the room. @param {string} room */
  left(room) {
    this.#keep((entry) => entry.room !== room);
  }

  /** @param {string} id */
  retry(id) {
    const entry = this.entries.find((one) => one.id === id);
    if (!entry) return;
    if (entry.state === "failed") entry.lost = 0;
    this.#mark(entry, "waiting");
    this.flush(entry.room);
  }

  /** @param {string} id */
  remove(id) {
    this.#keep((entry) => entry.id !== id);
  }

  #keep(isKept) {
    this.entries = this.entries.filter(isKept);
    this.#changed();
  }

  #next(room) {
    if (this.#talks(room)?.room?.state !== "subscribed") return undefined;
    const entry = this.entries.find((one) => one.room === room && one.state !== "failed" && one.state !== "sent");
    return entry?.state === "waiting" ? entry : undefined;
  }

  /** @param {Entry} entry */
  async #send(entry) {
    const { id, text, room } = entry;
    this.#mark(entry, "sending");
    try {
      await this.#talks(room).call("say", { id, text });
      this.#mark(entry, "sent");
    } catch ({ code, temporary, message }) {
      // Without an answer nobody knows whether it arrived. It is sent again, and appears once.
      const isLost = code === 0 || code >= 1000;
      entry.lost = (entry.lost ?? 0) + (isLost ? 1 : 0);
      const hasFailed = entry.lost >= MOST_LOST || (!isLost && !temporary);
      this.#mark(entry, hasFailed ? "failed" : isLost ? "waiting" : "delayed", message);
      if (!hasFailed && !isLost) setTimeout(() => this.retry(id), AGAIN_MS);
    }
  }

  #mark(entry, state, reason) {
    Object.assign(entry, { state, reason });
    this.#changed();
  }

  #changed() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(this.entries));
    } catch {
      // they are kept until the page is closed
    }
    this.dispatchEvent(new Event("change"));
  }
}

/** What the page had when it was reloaded; what was being sent is sent again. @returns {Entry[]} */
function recall() {
  try {
    const entries = JSON.parse(sessionStorage.getItem(KEY)) ?? [];
    return entries.map((entry) => (entry.state === "failed" ? entry : { ...entry, state: "waiting" }));
  } catch {
    return [];
  }
}
