/** One connection: what it is, its rooms, and its frames as they come and go. */

import { ageOf } from "./connections.js";
import { confirmed } from "./dialogs.js";
import { button, byId, element, notify } from "./elements.js";
import { age, bytes, count } from "./format.js";
import { call } from "./session.js";

const MOST_FRAMES = 500;
const FRESH = 2000; // ms between looks at the figures

const dialog = byId("inspector");
const list = byId("frames");
const hold = byId("hold");

export class Inspector {
  #ask; // sends a request over the feed
  #id = "";
  #timer = 0;
  #omitted = 0;

  /** @param {(request: object) => void} ask */
  constructor(ask) {
    this.#ask = ask;
    dialog.addEventListener("close", () => this.#end());
    hold.addEventListener("click", () => {
      const isHeld = hold.getAttribute("aria-pressed") !== "true";
      hold.setAttribute("aria-pressed", String(isHeld));
    });
  }

  /** Opens the dialog. @param {string} id of a connection */
  async inspect(id) {
    try {
      this.#show(await call(`connections/${encodeURIComponent(id)}`));
    } catch (error) {
      notify(error.message);
      return;
    }
    this.#id = id;
    this.#omitted = 0;
    list.replaceChildren();
    hold.setAttribute("aria-pressed", "false");
    byId("frames-state").textContent = "Waiting for frames";
    dialog.showModal();
    this.resume();
    this.#timer = setInterval(() => this.#refresh(), FRESH);
  }

  /** Asks for the frames again, after the feed was away. */
  resume() {
    if (this.#id) this.#ask({ tap: this.#id });
  }

  /** Takes what came over the feed. */
  hear({ frames: { connection, frames, omitted, ended } }) {
    if (connection !== this.#id) return;
    this.#omitted += omitted;
    if (hold.getAttribute("aria-pressed") !== "true") this.#append(frames);
    const lost = this.#omitted ? `, ${count(this.#omitted)} left out` : "";
    byId("frames-state").textContent = ended ? `The connection has ended${lost}` : `Live${lost}`;
  }

  #append(frames) {
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
    list.append(...frames.map(line));
    while (list.children.length > MOST_FRAMES) list.firstChild.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  #end() {
    clearInterval(this.#timer);
    this.#id = "";
    this.#ask({ tap: null });
  }

  async #refresh() {
    const id = this.#id;
    try {
      const row = await call(`connections/${encodeURIComponent(id)}`);
      if (id === this.#id) this.#show(row);
    } catch (error) {
      if (error.status !== 404 || id !== this.#id) return;
      clearInterval(this.#timer);
      byId("frames-state").textContent = "The connection has ended";
      for (const one of dialog.querySelectorAll("#ends button, #its-rooms button")) one.disabled = true;
    }
  }

  #show(row) {
    const facts = {
      User: row.user ?? "nobody",
      Id: row.id,
      Info: row.info || "–",
      Address: row.address || "–",
      Transport: `${row.transport} ${row.protocol}`,
      Client: row.client || "–",
      Age: age(ageOf(row)),
      Queue: bytes(row.queued),
      In: `${count(row.messages_in)} messages, ${bytes(row.bytes_in)}`,
      Out: `${count(row.messages_out)} messages, ${bytes(row.bytes_out)}`,
    };
    const entry = ([name, text]) => element("div", {}, element("dt", {}, name), element("dd", {}, text));
    byId("facts").replaceChildren(...Object.entries(facts).map(entry));
    const key = JSON.stringify([row.id, row.user, row.rooms]);
    if (dialog.dataset.shown === key && dialog.open) return; // buttons keep the focus
    dialog.dataset.shown = key;
    byId("ends").replaceChildren(...this.#endings(row));
    const none = element("li", {}, "none");
    byId("its-rooms").replaceChildren(...(row.rooms.length ? row.rooms.map((room) => chip(row.id, room)) : [none]));
  }

  #endings({ id, user }) {
    const kick = () => end(`Disconnect this connection?`, "disconnect", { connection: id });
    const all = () => end(`Disconnect all connections of ${user}?`, "disconnect_user", { user });
    const one = button("Disconnect", kick);
    return user === null ? [one] : [one, button("Disconnect the user everywhere", all)];
  }
}

async function end(question, path, body) {
  const text = "The client is told not to come back by itself.";
  if (await confirmed(question, text, "Disconnect")) await act(path, body);
}

async function act(path, body) {
  try {
    const { done } = await call(path, body);
    notify(done ? `Done${done > 1 ? `, ${count(done)} times` : ""}` : "There was nothing to do");
  } catch (error) {
    notify(error.message);
  }
}

function chip(connection, room) {
  const leave = button("Unsubscribe", () => act("unsubscribe", { connection, room }), {
    "aria-label": `Unsubscribe from ${room}`,
  });
  return element("li", {}, element("bdi", {}, room), leave);
}

/** A frame: when, which way, what, and how much of it is shown. */
function line({ at, incoming, kind, text, size, room, cut }) {
  const time = new Date(at * 1000).toISOString();
  const rest = cut ? ` … (${bytes(size)})` : "";
  const where = room ? `[${room}] ` : "";
  const what = kind === "binary" ? "(binary) " : "";
  return element(
    "li",
    {},
    element("time", { datetime: time }, time.slice(11, 23)),
    element("span", { class: incoming ? "in" : "out" }, incoming ? "in" : "out"),
    element("span", {}, where + what + text + rest),
  );
}
