/** Who is in the room: asked once, and then told by its joins and leaves. */

import { byId, fromTemplate, paintAvatar } from "./elements.js";

/** Who is back so soon was not away: a reload, or a server that starts again, is not told. */
const BACK_MS = 4000;

/** Somebody, as the server describes a connection. @param {import("/hubbub.js").ClientInfo} info */
const personOf = ({ client, conn_info: info }) => {
  const [name, author] = [String(info?.name ?? "somebody"), String(info?.author ?? "")];
  return { client, name, author, key: `${author} ${name}` }; // windows of one browser are one
};

export class People {
  #list = byId("members");
  #number = byId("member-count");
  /** @type {import("./talk.js").Talk | undefined} */
  #talk;
  /** @type {Map<string, ReturnType<personOf>>} By connection. */
  #present = new Map();
  /** @type {Map<string, number>} Timers of those who may be back soon. */
  #leaving = new Map();

  /** Shows who is in a room. @param {import("./talk.js").Talk} talk */
  async show(talk) {
    if (talk !== this.#talk) this.#forget();
    this.#talk = talk;
    const found = await talk.room?.presence().catch(() => null);
    if (talk !== this.#talk || !found) return;
    const before = [...this.#present.values()];
    this.#present = new Map(found.map((info) => [info.client, personOf(info)]));
    for (const person of before) this.#gone(person);
    this.#draw();
  }

  /** @param {import("/hubbub.js").ClientInfo} info */
  joined(info) {
    const person = personOf(info);
    const isMe = person.client === this.#talk.hub.client;
    const isNew = !isMe && !this.#isHere(person) && !this.#leaving.has(person.key);
    clearTimeout(this.#leaving.get(person.key));
    this.#leaving.delete(person.key);
    this.#present.set(person.client, person);
    if (isNew) this.#talk.notice(`${person.name} joined`);
    this.#draw();
  }

  /** @param {import("/hubbub.js").ClientInfo} info */
  left({ client }) {
    const person = this.#present.get(client);
    this.#present.delete(client);
    if (person) this.#gone(person);
    this.#draw();
  }

  #gone(person) {
    if (this.#isHere(person) || this.#leaving.has(person.key)) return;
    const timer = setTimeout(() => {
      this.#leaving.delete(person.key);
      this.#talk.notice(`${person.name} left`);
    }, BACK_MS);
    this.#leaving.set(person.key, timer);
  }

  #isHere({ key }) {
    return [...this.#present.values()].some((other) => other.key === key);
  }

  #forget() {
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#leaving.clear();
    this.#present.clear();
    this.#draw();
  }

  #draw() {
    const people = [...new Map([...this.#present.values()].map((person) => [person.key, person])).values()];
    people.sort((one, other) => one.name.localeCompare(other.name));
    this.#list.replaceChildren(...people.map((person) => this.#item(person)));
    this.#number.textContent = people.length || "";
  }

  #item({ name, author }) {
    const item = fromTemplate("member-template");
    paintAvatar(item.querySelector(".avatar"), name);
    item.querySelector("bdi").textContent = author && author === this.#talk.author ? `${name} (you)` : name;
    return item;
  }
}
