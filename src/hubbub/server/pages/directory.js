/** Who is where: the rooms, asked over HTTP, and the members of the present one, asked in it. */

import { fromTemplate, paintAvatar } from "./conversation.js";

const EVERY_MS = 15_000;
const SOON_MS = 200;

/** What somebody is called. @param {import("/hubbub.js").ClientInfo} info */
export function nameOf({ conn_info: info }) {
  return String(info?.name ?? "somebody");
}

export class Directory {
  #rooms = document.getElementById("rooms");
  #members = document.getElementById("members");
  #count = document.getElementById("member-count");
  /** @type {import("/hubbub.js").Room | undefined} The present room. */
  #talk;
  #room = "";
  #name = "";
  /** What is on the page, as JSON: it is only drawn again when it has changed. */
  #drawn = "";
  #soon = 0;

  constructor() {
    setInterval(() => document.hidden || this.refresh(), EVERY_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  /** The user wants to be in this room now, under this name. */
  show(talk, room, name) {
    this.#talk = talk;
    if (room !== this.#room) this.#draw({ rooms: this.#knownRooms(), members: [] }, room, name);
    this.#room = room;
    this.#name = name;
  }

  /** Many come and go at once after a restart: one question is enough. */
  refreshSoon() {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.refresh(), SOON_MS);
  }

  /** Asks the server. Without an answer the page keeps what it shows. */
  async refresh() {
    const talk = this.#talk;
    if (talk?.state !== "subscribed") return;
    try {
      const [{ rooms }, present] = await Promise.all([(await fetch("/chat/rooms")).json(), talk.presence()]);
      const members = [...new Set(present.map(nameOf))].sort();
      if (talk === this.#talk) this.#draw({ rooms, members }, this.#room, this.#name);
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
