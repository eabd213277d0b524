/** The chat page: one room at a time, over one ReconnectingWebSocket. */

import { ReconnectingWebSocket } from "/hubbub.js";
import { ConnectionState } from "./connection_state.js";
import { Conversation } from "./conversation.js";
import { Directory } from "./directory.js";

const byId = (/** @type {string} */ id) => document.getElementById(id);

const NAME_KEY = "hubbub.name";
const app = document.querySelector(".app");
const welcome = byId("welcome");
const welcomeForm = byId("welcome-form");
const composer = byId("composer");
const box = composer.elements.text;

const conversation = new Conversation();
const directory = new Directory();
const state = new ConnectionState(() => (isOver() ? enter() : socket.retryNow()));

/** @type {ReconnectingWebSocket | undefined} The connection to the present room. */
let socket;
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
  return !socket || socket.readyState === socket.CLOSED;
}

/** Leaves the present room, if any, and enters the one in the address. */
function enter() {
  if (!name) return welcome.showModal();
  socket?.close(1000);
  conversation.lost(true);
  if (room !== roomInAddress()) conversation.clear();
  room = roomInAddress();
  byId("room-name").textContent = room;
  byId("my-name").textContent = name;
  const query = new URLSearchParams({ username: name });
  socket = new ReconnectingWebSocket(`/chat/${encodeURIComponent(room)}?${query}`, [], { heartbeat: true });
  listen(socket);
  state.watch(socket);
  directory.show(room, name);
  showTitle();
}

/** Hears a connection for as long as it is the present one. */
function listen(connection) {
  const on = (type, listener) =>
    connection.addEventListener(type, (event) => connection === socket && listener(event));
  on("message", ({ data }) => receive(JSON.parse(data)));
  on("open", () => {
    conversation.sentQueued();
    directory.refresh();
  });
  on("close", ({ code }) => {
    conversation.lost(isOver());
    if (isOver()) state.over(code);
  });
}

/** One message of the server: a refusal, a notice, or what somebody said. */
function receive(message) {
  if (message.type === "error") {
    state.refused = String(message.msg);
    return;
  }
  if (message.from === "system") {
    conversation.notice(message.text);
    directory.refreshSoon();
    return;
  }
  conversation.say(message.from, message.text, message.from === name);
  if (document.hidden) unseen += 1;
  showTitle();
}

function send(text) {
  const queued = socket.readyState !== socket.OPEN;
  socket.send(text);
  conversation.addPending(text, queued);
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
  try {
    send(box.value.trim());
    box.value = "";
    fitBox();
  } catch (error) {
    state.remind(error.name === "QuotaExceededError" ? "No more messages can wait." : error.message);
  }
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
