/** Who is typing: told in a room that keeps nothing, and forgotten after a few seconds. */

import { byId } from "./elements.js";

const TELL_MS = 3000;
const SHOWN_MS = 5000;

export class Typing {
  #line = byId("typing");
  /** @type {import("/hubbub.js").Room | undefined} */
  #room;
  /** Those that are heard already: coming back to a room, it is the same one. */
  #heardRooms = new WeakSet();
  /** When it was told last. */
  #told = 0;
  /** @type {Map<string, { name: string, timer: number }>} By author. */
  #others = new Map();

  /** Listens beside a room of the chat, and nowhere else. @param {import("./talk.js").Talk} talk */
  listen(talk) {
    const room = talk.hub.room(`chat-typing:${talk.name}`);
    if (room !== this.#room) {
      this.#room?.unsubscribe();
      for (const author of [...this.#others.keys()]) this.stopped(author);
      this.#told = 0; // those in this room have not heard it
    }
    this.#room = room;
    room.subscribe();
    if (this.#heardRooms.has(room)) return;
    this.#heardRooms.add(room);
    room.addEventListener("publication", ({ detail: { data } }) => {
      if (room === this.#room && data.author !== talk.author) this.#heard(data);
    });
  }

  /** The user has changed what is in the box. */
  typed() {
    if (Date.now() - this.#told < TELL_MS || this.#room?.state !== "subscribed") return;
    this.#told = Date.now();
    this.#room.publish({}).catch(() => {}); // nobody misses it
  }

  /** What the user typed is sent: the next letter is told at once. */
  sent() {
    this.#told = 0;
  }

  /** The message is there. @param {string} author */
  stopped(author) {
    clearTimeout(this.#others.get(author)?.timer);
    this.#others.delete(author);
    this.#draw();
  }

  #heard({ author, name }) {
    clearTimeout(this.#others.get(author)?.timer);
    const timer = setTimeout(() => this.stopped(author), SHOWN_MS);
    this.#others.set(author, { name: String(name), timer });
    this.#draw();
  }

  #draw() {
    const names = [...this.#others.values()].map(({ name }) => name);
    const who = names.length > 2 ? "Several people" : names.join(" and ");
    this.#line.textContent = who && `${who} ${names.length > 1 ? "are" : "is"} typing…`;
  }
}
