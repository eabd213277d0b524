/** The chat page: one room at a time. */

import { Hub } from "/hubbub.js";
import { ConnectionState } from "./connection_state.js";
import { Conversation } from "./conversation.js";
import { Directory, nameOf } from "./directory.js";

const byId = (/** @type {string} */ id) => document.getElementById(id);

const NAME_KEY = "hubbub.name";
const SHOWN = 200;
const app = document.querySelector(".app");
const welcome = byId("welcome");
const welcomeForm = byId("welcome-form");
const composer = byId("composer");
const box = composer.elements.text;

const conversation = new Conversation();
const directory = new Directory();
const state = new ConnectionState(() => (isOver() ? enter() : hub.retryNow()));

/** @type {Hub | undefined} The connection of the present room. */
let hub;
/** @type {import("/hubbub.js").Room | undefined} The present room. */
let talk;
/** The ids that this page's connections have had. */
const ids = new Set();
/** Whether what comes is said just now, and not told again after a reconnect. */
let live = true;
let name = recallName();
let room = "";
/** Messages that came while the page was hidden. */
let unseen = 0;

/** A browser may forbid to keep things; then the name is asked for each time. */
function recallName() {
  try {
    return localStorage.getItem(NAME_KEY) ?? "";
  } catch {
    return "";
  }
}

function rememberName() {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch {
    // it is not needed
  }
}

/** The server takes ASCII names: "Café 2" is made "cafe-2". Empty where nothing of the text can stand in a name. */
function toRoom(text) {
  const words = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return words.join("-").slice(0, 40);
}

function roomInAddress() {
  try {
    return toRoom(decodeURIComponent(location.hash.slice(1))) || "general";
  } catch {
    return "general"; // a broken percent sign
  }
}

function isOver() {
  return !hub || hub.state === "disconnected";
}

/** Leaves the present room, if any, and enters the one in the address. */
function enter() {
  if (!name) return welcome.showModal();
  hub?.close();
  if (room !== roomInAddress()) conversation.clear();
  room = roomInAddress();
  byId("room-name").textContent = room;
  byId("my-name").textContent = name;
  hub = new Hub("/connection/websocket");
  talk = hub.room(`chat:${room}`, { data: { name }, joinLeave: true });
  listen(hub, talk);
  state.begin();
  directory.show(talk, room, name);
  showTitle();
}

/** Hears a connection and its room for as long as they are the present ones. */
function listen(connection, here) {
  const on = (target, type, listener) =>
    target.addEventListener(type, ({ detail }) => connection === hub && listener(detail));
  on(connection, "connected", ({ client }) => {
    ids.add(client);
    if (here.state === "unsubscribed") begin(here);
  });
  on(connection, "connecting", ({ at }) => state.waiting(at));
  on(connection, "disconnected", ({ code }) => state.over(code));
  on(here, "subscribed", arrived);
  on(here, "publication", receive);
  on(here, "join", (info) => notice(`${nameOf(info)} joined`));
  on(here, "leave", (info) => notice(`${nameOf(info)} left`));
  on(here, "unsubscribed", ({ code, reason }) => {
    if (code === 0) return; // it is begun anew
    state.refused = reason;
    hub.close();
  });
}

/** Shows what the room remembers, and comes in just after that: nothing is missed, nothing comes twice. */
async function begin(here) {
  const page = await here.history({ limit: SHOWN, reverse: true }).catch(() => null);
  if (here !== talk || hub.state !== "connected") return;
  if (page) {
    conversation.clear(true);
    live = false;
    page.publications.reverse().forEach(receive);
    live = true;
  }
  here.subscribe({ since: page });
}

/** The page is in the room. */
function arrived({ recovered, wasRecovering }) {
  if (wasRecovering && !recovered) { // away for too long
    talk.unsubscribe();
    begin(talk);
    return;
  }
  live = false; // what was missed comes next, at once
  queueMicrotask(() => (live = true));
  state.good();
  conversation.sentQueued();
  directory.refresh();
}

function notice(text) {
  conversation.notice(text);
  directory.refreshSoon();
}

/** What somebody said. */
function receive({ data, info, time }) {
  const [from, text] = [data?.from, data?.text].map((value) => String(value ?? ""));
  const date = time ? new Date(time) : live ? new Date() : null;
  conversation.say({ from, text, date, mine: from === name, isEcho: ids.has(info?.client) });
  if (document.hidden && live) unseen += 1;
  showTitle();
}

async function send(text) {
  const sending = talk.publish({ text });
  const item = conversation.addPending(text, talk.state !== "subscribed");
  try {
    await sending;
  } catch (error) {
    if (error.name !== "QuotaExceededError") return conversation.failed(item, error);
    item.remove();
    box.value ||= text;
    state.remind("No more messages can wait.");
  }
}

function showTitle() {
  document.title = `${unseen ? `(${unseen}) ` : ""}#${room} · Hubbub`;
}

function showSidebar(open) {
  app.classList.toggle("with-sidebar", open);
  byId("menu").setAttribute("aria-expanded", String(open));
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!box.value.trim()) return;
  if (isOver()) return state.remind();
  send(box.value.trim());
  box.value = "";
  fitBox();
});

/** Enter sends, Shift+Enter breaks the line; while an input method composes, Enter belongs to it. */
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});

/** Up to five lines; the rest scrolls. */
function fitBox() {
  box.rows = 1;
  while (box.rows < 5 && box.scrollHeight > box.clientHeight) box.rows += 1;
}
box.addEventListener("input", fitBox);

conversation.onresend = (text) => (isOver() ? state.remind() : send(text));

welcomeForm.addEventListener("submit", () => {
  name = welcomeForm.elements.name.value.trim();
  rememberName();
  enter();
});

welcome.addEventListener("close", () => box.focus());

/** The server keeps "system" for its notices. */
welcomeForm.elements.name.addEventListener("input", ({ target }) => {
  const taken = target.value.trim().toLowerCase() === "system";
  target.setCustomValidity(taken ? "This name is taken." : target.value.trim() ? "" : "Please write a name.");
});

welcome.addEventListener("cancel", (event) => {
  if (!name) event.preventDefault();
});

byId("rename").addEventListener("click", () => {
  welcomeForm.elements.name.value = name;
  showSidebar(false);
  welcome.showModal();
});

byId("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = toRoom(event.target.elements.room.value);
  event.target.reset();
});

byId("new-room").elements.room.addEventListener("input", ({ target }) => {
  target.setCustomValidity(toRoom(target.value) ? "" : "Please use letters from a to z, or digits.");
});

byId("menu").addEventListener("click", () => showSidebar(!app.classList.contains("with-sidebar")));
document.addEventListener("keydown", (event) => event.key === "Escape" && showSidebar(false));
document.querySelector(".room").addEventListener("pointerdown", ({ target }) => {
  if (!byId("menu").contains(target)) showSidebar(false);
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  showTitle();
});
window.addEventListener("hashchange", () => {
  showSidebar(false);
  enter();
});

enter();
