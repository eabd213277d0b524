/** The elements of messages: what was said, notices, and one's own on their way. */

import { fromTemplate, paintAvatar, withLinks } from "./elements.js";

/** @import { Message } from "./transcript.js" */
/** @import { Entry } from "./outbox.js" */
/** @typedef {{ edit: (message: Message) => void, remove: (message: Message) => void }} Actions */
/** @typedef {{ retry: (id: string) => void, discard: (id: string) => void }} PendingActions */

const GROUP_MS = 5 * 60 * 1000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const NOTES = {
  waiting: "Waiting for the connection",
  delayed: "Waiting",
  sending: "Sending",
  sent: "Sent",
};

/** @param {HTMLTimeElement} element @param {number | undefined} time */
function showTime(element, time) {
  if (time === undefined) return;
  const date = new Date(time);
  element.dateTime = date.toISOString();
  element.title = calendar.format(date);
  element.textContent = date.toDateString() === new Date().toDateString() ? clock.format(date) : element.title;
}

/** The element of a message.
 *  @param {Message} message @param {boolean} isMine @param {Actions} actions on one's own */
export function messageItem(message, isMine, actions) {
  if (message.isNotice) return noticeItem(message);
  const item = fromTemplate("message-template");
  item.classList.toggle("mine", isMine);
  item.classList.toggle("deleted", message.isDeleted);
  paintAvatar(item.querySelector(".avatar"), message.from);
  item.querySelector(".from").textContent = message.from;
  item.querySelector(".edited").hidden = !message.isEdited || message.isDeleted;
  item.querySelector(".sent").hidden = !isMine;
  const text = item.querySelector(".text");
  if (message.isDeleted) text.textContent = "This message was deleted";
  else text.append(...withLinks(message.text));
  showTime(item.querySelector("time"), message.time);
  const [edit, remove] = item.querySelectorAll(".actions button");
  edit.parentElement.hidden = !isMine || message.isDeleted;
  edit.addEventListener("click", () => actions.edit(message));
  remove.addEventListener("click", () => actions.remove(message));
  return item;
}

/** @param {Message} message */
function noticeItem(message) {
  const item = fromTemplate("notice-template");
  item.querySelector("bdi").textContent = message.text;
  showTime(item.querySelector("time"), message.time);
  return item;
}

/** Whether a message is shown together with the one before it.
 *  @param {Message} message @param {Message | undefined} before */
export function belongsTo(message, before) {
  if (!before || before.isNotice || message.isNotice) return false;
  const isSame = before.from === message.from && before.author === message.author;
  return isSame && (message.time ?? 0) - (before.time ?? 0) < GROUP_MS;
}

/** The element of a message that has not appeared in the room yet.
 *  @param {Entry} entry @param {PendingActions} actions */
export function pendingItem({ id, text, state, reason }, actions) {
  const item = fromTemplate("pending-template");
  item.classList.add(state);
  item.querySelector(".text").textContent = text;
  item.querySelector(".note span").textContent = NOTES[state] ?? `Not sent: ${reason}`;
  const [retry, discard] = item.querySelectorAll("button");
  retry.hidden = discard.hidden = state !== "failed";
  retry.addEventListener("click", () => actions.retry(id));
  discard.addEventListener("click", () => actions.discard(id));
  return item;
}
