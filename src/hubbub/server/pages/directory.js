/** Who is where: the rooms and the members of the present one, asked over HTTP. */

import { fromTemplate, paintAvatar } from "./conversation.js";

const EVERY_MS = 15_000;
const SOON_MS = 200;

export class Directory {
  #rooms = document.getElementById("rooms");
  #members = document.getElementById("members");
  #count = document.getElementById("member-count");
  #room = "";
  #name = "";
  /** What is on the page, as JSON: it is only drawn again when it has changed. */
  #drawn = "";
  #soon = 0;

  constructor() {
    setInterval(() => document.hidden || this.refresh(), EVERY_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  /** The user is in this room now, under this name. */
  show(room, name) {
    if (room !== this.#room) this.#draw({ rooms: this.#knownRooms(), members: [] }, room, name);
    this.#room = room;
    this.#name = name;
    this.refresh();
  }

  /** Many come and go at once after a restart: one question is enough. */
  refreshSoon() {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.refresh(), SOON_MS);
  }

  /** Asks the server. Without an answer the page keeps what it shows. */
  async refresh() {
    const room = this.#room;
    if (!room) return;
    try {
      const ask = async (path) => (await fetch(path)).json();
      const [{ rooms }, { members }] = await Promise.all([
        ask("/chat/rooms"),
        ask(`/chat/rooms/${encodeURIComponent(room)}`),
      ]);
      if (room === this.#room) this.#draw({ rooms, members }, room, this.#name);
    } catch {
      // the connection's state says it already
    }
  }

  #knownRooms() {
    return this.#drawn ? JSON.parse(this.#drawn).rooms : [];
  }

  #draw({ rooms, members }, room, name) {
    const drawn = JSON.stringify({ rooms, members, room, name });
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const counts = new Map([["general", 0], [room, 0], ...rooms.map((each) => [each.room, each.members])]);
    const focused = this.#rooms.contains(document.activeElement) && document.activeElement.hash;
    this.#rooms.replaceChildren(...[...counts].sort().map(([each, count]) => roomItem(each, count, room)));
    if (focused) [...this.#rooms.querySelectorAll("a")].find((link) => link.hash === focused)?.focus();
    this.#members.replaceChildren(...members.map((member) => memberItem(member, name)));
    this.#count.textContent = members.length || "";
  }
}

function roomItem(room, count, present) {
  const item = fromTemplate("room-template");
  const link = item.querySelector("a");
  link.href = `#${encodeURIComponent(room)}`;
  if (room === present) link.setAttribute("aria-current", "page");
  item.querySelector("bdi").textContent = room;
  item.querySelector(".count").textContent = count || "";
  return item;
}

function memberItem(member, me) {
  const item = fromTemplate("member-template");
  paintAvatar(item.querySelector(".avatar"), member);
  item.querySelector("bdi").textContent = member === me ? `${member} (you)` : member;
  return item;
}
