/** The admin page: login, views by the address's fragment, and the live feed. */

import { connectionTable } from "./connections.js";
import { byId } from "./elements.js";
import { Feed } from "./feed.js";
import { Inspector } from "./inspector.js";
import { Overview } from "./overview.js";
import { roomTable } from "./rooms.js";
import { Series } from "./series.js";
import { call, forget, key, remember, Refused, whenRefused } from "./session.js";

const VIEWS = ["overview", "rooms", "connections"];

const series = new Series();
const overview = new Overview(series);
const inspector = new Inspector((request) => feed?.ask(request));
const connections = connectionTable((id) => inspector.inspect(id));
const rooms = roomTable((room) => {
  connections.search(room);
  location.hash = "#connections";
});
const views = { rooms, connections };

/** @type {Feed | null} Null while nobody is signed in. */
let feed = null;

function signIn() {
  byId("login").hidden = true;
  byId("tabs").hidden = byId("leave").hidden = false;
  feed = new Feed();
  feed.addEventListener("state", ({ detail }) => showState(detail));
  feed.addEventListener("refused", () => signOut("The server does not know this key"));
  feed.addEventListener("hello", ({ detail }) => begin(detail));
  feed.addEventListener("frames", ({ detail }) => inspector.hear(detail));
  feed.addEventListener("snapshot", ({ detail }) => {
    series.add(detail.snapshot);
    if (shown() === "overview") redraw();
  });
  show();
}

function signOut(why = "") {
  forget();
  feed?.stop();
  feed = null;
  series.clear();
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const view of VIEWS) {
    byId(view).hidden = true;
    views[view]?.leave();
  }
  byId("tabs").hidden = byId("leave").hidden = true;
  byId("state").textContent = "";
  byId("login").hidden = false;
  byId("refused").textContent = why;
  byId("key").focus();
}

function begin({ recent, now }) {
  series.synchronize(now);
  for (const snapshot of recent) series.add(snapshot);
  redraw();
  inspector.resume();
}

let isDrawing = false;

/** Draws at the next frame: of several nodes' snapshots only once, and never in a hidden tab. */
function redraw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    overview.draw();
  });
}

function showState(is) {
  byId("state").dataset.is = is;
  byId("state").textContent = is === "live" ? "Live" : "Reconnecting…";
}

const shown = () => (VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : VIEWS[0]);

function show() {
  if (!feed) return;
  for (const name of VIEWS) {
    byId(name).hidden = name !== shown();
    if (name !== shown()) views[name]?.leave();
  }
  for (const link of byId("tabs").children) {
    if (link.hash === `#${shown()}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  views[shown()]?.enter();
  if (shown() === "overview") redraw();
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  remember(byId("key").value.trim());
  byId("refused").textContent = "";
  try {
    await call("session");
    byId("key").value = "";
    signIn();
  } catch (error) {
    if (!(error instanceof Refused && error.status === 401)) signOut(error.message);
  }
});
byId("leave").addEventListener("click", () => signOut());
addEventListener("hashchange", show);
whenRefused(() => signOut("The server does not know this key"));

if (key()) signIn();
else signOut();
