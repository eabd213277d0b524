/** The question for a name. */

import { byId } from "./elements.js";
import { identity, rename } from "./identity.js";

const dialog = byId("welcome");
const form = byId("welcome-form");
const field = form.elements.name;

/** Asks; `ondone` is called once there is a name. @param {() => void} ondone */
export function askForName(ondone) {
  field.value = identity.name;
  let isAnswered = false;
  form.onsubmit = () => (isAnswered = true);
  dialog.onclose = () => {
    if (!isAnswered) return;
    rename(field.value.trim());
    ondone();
  };
  if (!dialog.open) dialog.showModal();
}

/** The server keeps "system" for its notices. */
field.addEventListener("input", () => {
  const name = field.value.trim();
  const isTaken = name.toLowerCase() === "system";
  field.setCustomValidity(isTaken ? "This name is taken." : name ? "" : "Please write a name.");
});

dialog.addEventListener("cancel", (event) => {
  if (!identity.name) event.preventDefault();
});
