/** The rooms at the left: one's own with what is unread there, and others that somebody is in. */

import { byId, fromTemplate } from "./elements.js";

/** @import { Talk } from "./talk.js" */

const EVERY_MS = 15_000;
const MOST_UNREAD = 50;

export class RoomList {
  #own = byId("rooms");
  #others = byId("other-rooms");
  #othersBox = byId("others-section");
  #onleave;
  /** What is on the page: it is only drawn again when it has changed. */
  #drawn = "";
  /** @type {{ room: string, members: number }[]} */
  #directory = [];
  /** @type {Map<string, Talk>} */
  #talks = new Map();
  #present = "";

  /** @param {(room: string) => void} onleave the user wants to leave it */
  constructor(onleave) {
    this.#onleave = onleave;
    setInterval(() => document.hidden || this.refresh(), EVERY_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  /** @param {Map<string, Talk>} talks one's own rooms @param {string} present the one that is shown */
  show(talks, present) {
    this.#talks = talks;
    this.#present = present;
    this.#draw();
  }

  /** Asks the server where somebody is. Without an answer the page keeps what it shows. */
  async refresh() {
    try {
      const answer = await fetch("/chat/rooms");
      if (answer.ok) this.#directory = (await answer.json()).rooms;
    } catch {
      // the connection's state says it already
    }
    this.#draw();
  }

  #draw() {
    const own = [...this.#talks.values()].map(({ name, unread }) => ({ name, unread }));
    const others = this.#directory.filter(({ room }) => !this.#talks.has(room));
    const drawn = JSON.stringify([own, others, this.#present]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = document.activeElement?.closest("#sidebar li") && document.activeElement.dataset.focus;
    own.sort((one, other) => one.name.localeCompare(other.name));
    this.#own.replaceChildren(...own.map((room) => this.#ownItem(room)));
    this.#others.replaceChildren(...others.map(({ room, members }) => otherItem(room, members)));
    this.#othersBox.hidden = others.length === 0;
    const again = [...document.querySelectorAll("#sidebar [data-focus]")];
    if (focused) again.find((element) => element.dataset.focus === focused)?.focus();
  }

  #ownItem({ name, unread }) {
    const item = fromTemplate("room-template");
    const badge = item.querySelector(".unread");
    const leave = item.querySelector("button");
    linkTo(item, name);
    if (name === this.#present) item.querySelector("a").setAttribute("aria-current", "page");
    badge.hidden = unread === 0;
    badge.querySelector("span").textContent = unread > MOST_UNREAD ? `${MOST_UNREAD}+` : unread;
    leave.setAttribute("aria-label", `Leave ${name}`);
    leave.dataset.focus = `leave ${name}`;
    leave.hidden = this.#talks.size < 2;
    leave.addEventListener("click", () => this.#onleave(name));
    return item;
  }
}

function otherItem(name, members) {
  const item = fromTemplate("other-room-template");
  linkTo(item, name);
  item.querySelector(".count").textContent = members;
  return item;
}

function linkTo(item, name) {
  const link = item.querySelector("a");
  link.href = `#${encodeURIComponent(name)}`;
  link.dataset.focus = name;
  item.querySelector("bdi").textContent = name;
}
