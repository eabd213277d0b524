/** The chat page: brings its parts together. Each of them is about one thing, and knows none of the others. */

import { Hub } from "/hubbub.js";
import { roomInAddress, toRoom } from "./address.js";
import { Composer } from "./composer.js";
import { ConnectionState } from "./connection_state.js";
import { Conversation } from "./conversation.js";
import { byId } from "./elements.js";
import { identity } from "./identity.js";
import { Outbox } from "./outbox.js";
import { People } from "./people.js";
import { RoomList } from "./room_list.js";
import { Talk } from "./talk.js";
import { Typing } from "./typing.js";
import { forget, remember, visited } from "./visited.js";
import { askForName } from "./welcome.js";

/** The chat's code for a name that nobody can have. */
const NAME_TAKEN = 400;
const app = document.querySelector(".app");
const question = byId("delete-question");

/** @type {Hub | undefined} One connection for all rooms. */
let hub;
/** @type {Talk} The room that is shown. */
let shown;
/** @type {Map<string, Talk>} The rooms that the user is in. */
const talks = new Map();

const state = new ConnectionState(() => (hub?.state === "disconnected" ? connect() : hub?.retryNow()));
const typing = new Typing();
const people = new People();
const rooms = new RoomList(leave);
const outbox = new Outbox((room) => talks.get(room));
const conversation = new Conversation({
  edit: (message) => composer.edit(message),
  remove: askToDelete,
  retry: (id) => outbox.retry(id),
  discard: (id) => outbox.remove(id),
}, markRead);
const composer = new Composer({ send, change, editLast, typed: () => typing.typed() });

/** Connects as who the user is now, and enters all rooms. */
function connect() {
  if (!identity.name) return askForName(connect);
  hub?.close();
  const connection = (hub = new Hub("/connection/websocket"));
  const on = (type, listener) =>
    connection.addEventListener(type, ({ detail }) => connection === hub && listener(detail));
  on("connecting", ({ at }) => state.waiting(at));
  on("disconnected", ({ code }) => state.over(code));
  byId("my-name").textContent = identity.name;
  state.begin();
  for (const name of new Set([...visited(), roomInAddress()])) enter(name);
  for (const talk of talks.values()) talk.follow(connection);
  show(roomInAddress());
  composer.focus();
}

/** The room among one's own. @param {string} name */
function enter(name) {
  remember(name);
  const talk = talks.get(name) ?? listen(new Talk(name));
  talks.set(name, talk);
  return talk;
}

/** @param {Talk} talk */
function listen(talk) {
  const on = (type, listener) => talk.addEventListener(type, ({ detail }) => listener(detail));
  const onShown = (type, listener) => on(type, (detail) => talk === shown && listener(detail));
  const arrivedHere = (messages) =>
    outbox.arrived(messages.filter((message) => talk.isMine(message)).map(({ id }) => id));
  on("loaded", () => outbox.reloaded(talk.name));
  on("older", arrivedHere);
  on("deleted", (id) => arrivedHere([{ id, author: id.split(".")[0] }]));
  on("subscribed", () => outbox.flush(talk.name));
  on("message", (message) => {
    arrivedHere([message]);
    if (talk === shown) typing.stopped(message.author);
  });
  on("unread", showUnread);
  on("refused", ({ code, reason }) => {
    if (code !== NAME_TAKEN && talk !== shown) return;
    state.refused = reason;
    hub.close();
  });
  onShown("loaded", () => conversation.show(talk));
  onShown("message", (message) => {
    conversation.add(message);
    markRead();
  });
  onShown("changed", (message) => conversation.change(message));
  onShown("older", (messages) => {
    conversation.addOlder(messages);
    fill();
  });
  onShown("subscribed", arrived);
  onShown("join", (info) => people.joined(info));
  onShown("leave", (info) => people.left(info));
  return talk;
}

/** The page is in the room that it shows. */
function arrived() {
  state.good();
  people.show(shown);
  typing.listen(shown);
  rooms.refresh();
  fill();
  markRead();
}

/** Reads what was said before for as long as there is room for it. */
function fill() {
  if (conversation.isShort()) shown.loadOlder();
}

/** Shows one of the rooms. @param {string} name */
function show(name) {
  if (shown?.name === name && talks.get(name) === shown) return;
  composer.cancel();
  shown = talks.get(name) ?? enter(name);
  if (shown.hub !== hub) shown.follow(hub);
  byId("room-name").textContent = name;
  conversation.show(shown);
  showPending();
  people.show(shown);
  typing.listen(shown);
  if (shown.room.state === "subscribed") arrived();
  showUnread();
  composer.focus();
}

/** @param {string} name */
function leave(name) {
  talks.get(name)?.leave();
  talks.delete(name);
  outbox.left(name);
  forget(name);
  if (name === shown.name) location.hash = [...talks.keys()][0];
  showUnread();
}

/** What is in sight is read. */
function markRead() {
  const isInSight = !document.hidden && conversation.isAtEnd();
  if (shown?.room?.state === "subscribed" && isInSight) shown.markRead();
}

function showUnread() {
  const unread = [...talks.values()].reduce((sum, talk) => sum + talk.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}#${shown?.name ?? ""} · Hubbub`;
  byId("menu-unread").hidden = unread === 0;
  rooms.show(talks, shown?.name ?? "");
}

function showPending() {
  conversation.showPending(outbox.entries.filter(({ room }) => room === shown?.name));
}

/** @param {string} text @returns {boolean} */
function send(text) {
  if (hub?.state === "disconnected") return state.remind(), false;
  if (!outbox.add(shown.name, text)) return state.remind("No more messages can wait."), false;
  typing.sent();
  return true;
}

/** Has the server edit or delete a message. @returns {Promise<boolean>} */
async function call(method, data) {
  try {
    await shown.call(method, data);
    return true;
  } catch ({ message }) {
    state.tell(`Not changed: ${message}`);
    return false;
  }
}

function change({ id }, text) {
  return call("edit", { id, text });
}

function askToDelete({ id, text }) {
  byId("delete-text").textContent = text;
  question.returnValue = "";
  question.onclose = () => {
    if (question.returnValue === "delete") call("delete", { id });
    composer.focus();
  };
  question.showModal();
}

function editLast() {
  const last = shown.transcript.messages.findLast((message) => shown.isMine(message) && !message.isDeleted);
  if (last) composer.edit(last);
}

function showSidebar(isOpen) {
  app.classList.toggle("with-sidebar", isOpen);
  byId("menu").setAttribute("aria-expanded", String(isOpen));
}

outbox.addEventListener("change", showPending);

byId("rename").addEventListener("click", () => {
  showSidebar(false);
  askForName(connect);
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
document.querySelector(".room").addEventListener("pointerdown", ({ target }) => {
  if (!byId("menu").contains(target)) showSidebar(false);
});
document.addEventListener("keydown", ({ key }) => key === "Escape" && showSidebar(false));
document.addEventListener("visibilitychange", markRead);
window.addEventListener("hashchange", () => {
  showSidebar(false);
  if (hub) show(roomInAddress());
});

connect();
