/** Dialogs: asking before something is ended, and the form to publish. */

import { byId, notify } from "./elements.js";
import { call } from "./session.js";

for (const close of document.querySelectorAll("dialog [data-close]")) {
  close.addEventListener("click", () => close.closest("dialog").close());
}

/** Resolves to whether the answer was yes. @param {string} question @param {string} text @param {string} yes */
export function confirmed(question, text, yes) {
  const dialog = byId("asking");
  byId("asking-heading").textContent = question;
  byId("asking-text").textContent = text;
  dialog.querySelector(".danger").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

const publishing = byId("publishing");
const refusal = publishing.querySelector(".refused");

/** Opens the form to publish. @param {string} [room] */
export function publishInto(room = "") {
  byId("publish-room").value = room;
  refusal.textContent = "";
  publishing.showModal();
  (room ? byId("publish-data") : byId("publish-room")).focus();
}

publishing.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  publish();
});

async function publish() {
  const room = byId("publish-room").value;
  const text = byId("publish-data").value;
  try {
    const message = byId("publish-json").checked ? { room, data: JSON.parse(text) } : { room, text };
    await call("publish", message);
    publishing.close();
    notify(`Published into ${room}`);
  } catch (error) {
    refusal.textContent = error instanceof SyntaxError ? "This is no JSON" : error.message;
  }
}
