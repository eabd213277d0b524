/** The conversation on the page: one room's messages, with a place in them that the user does not lose. */

import { byId } from "./elements.js";
import { belongsTo, messageItem, pendingItem } from "./message.js";

/** @import { Entry } from "./outbox.js" */
/** @import { Talk } from "./talk.js" */
/** @import { Message } from "./transcript.js" */

/** Pixels from an end of the scroller that count as the end. */
const NEAR = 60;
const ANNOUNCED = 5;

export class Conversation {
  #log = byId("log");
  #pending = byId("pending");
  #scroller = byId("scroller");
  #newest = byId("newest");
  #older = byId("older");
  #announcer = byId("announcer");
  #actions;
  /** @type {Talk | undefined} */
  #talk;
  /** @type {WeakMap<Message, HTMLElement>} */
  #items = new WeakMap();

  /** @param {import("./message.js").Actions & import("./message.js").PendingActions} actions of the user
   *  @param {() => void} onread the user sees the end */
  constructor(actions, onread) {
    this.#actions = actions;
    this.#newest.addEventListener("click", () => this.#scrollDown());
    this.#older.addEventListener("click", () => this.#talk?.loadOlder());
    this.#scroller.addEventListener("scroll", () => {
      if (this.#scroller.scrollTop < NEAR) this.#talk?.loadOlder();
      if (!this.isAtEnd()) return;
      this.#newest.hidden = true;
      onread();
    });
  }

  /** Shows a room from its end. @param {Talk} talk */
  show(talk) {
    this.#talk = talk;
    this.#announcer.replaceChildren();
    this.#log.replaceChildren(...talk.transcript.messages.map((message, index) => this.#draw(message, index)));
    this.#older.hidden = !talk.transcript.hasOlder;
    this.#scrollDown();
  }

  /** Adds a message at the end. Whoever is reading above stays there. @param {Message} message */
  add(message) {
    const { messages, hasOlder } = this.#talk.transcript;
    const isMine = this.#talk.isMine(message);
    const stay = !isMine && !this.isAtEnd();
    this.#log.append(this.#draw(message, messages.length - 1));
    if (this.#log.children.length > messages.length) {
      this.#log.firstElementChild.remove();
      this.change(messages[0]); // it begins its group now
    }
    this.#older.hidden = !hasOlder;
    if (!isMine) this.#announce(message);
    if (stay) this.#newest.hidden = false;
    else this.#scrollDown();
  }

  /** Adds what was said before, above what the user is looking at. @param {Message[]} messages */
  addOlder(messages) {
    const { scrollHeight, scrollTop } = this.#scroller;
    this.#log.prepend(...messages.map((message, index) => this.#draw(message, index)));
    this.change(this.#talk.transcript.messages[messages.length]); // its group may begin earlier now
    this.#older.hidden = !this.#talk.transcript.hasOlder;
    this.#scroller.scrollTop = scrollTop + this.#scroller.scrollHeight - scrollHeight;
  }

  /** Shows what has become of a message. @param {Message | undefined} message */
  change(message) {
    if (!message) return;
    const { messages } = this.#talk.transcript;
    const index = messages.indexOf(message);
    const item = this.#items.get(message);
    const hadFocus = item?.contains(document.activeElement);
    const drawn = this.#draw(message, index);
    if (item) item.replaceWith(drawn);
    else this.#log.insertBefore(drawn, this.#items.get(messages[index + 1]) ?? null); // an edit came first
    if (hadFocus) this.#scroller.focus();
  }

  /** Shows one's own messages on their way. @param {Entry[]} entries */
  showPending(entries) {
    const stay = !this.isAtEnd() && entries.length <= this.#pending.children.length;
    this.#pending.replaceChildren(...entries.map((entry) => pendingItem(entry, this.#actions)));
    if (!stay) this.#scrollDown();
  }

  /** Whether there is room for what was said before. */
  isShort() {
    return this.#log.clientHeight < this.#scroller.clientHeight;
  }

  /** Whether the newest message is in sight. */
  isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  #draw(message, index) {
    const item = messageItem(message, this.#talk.isMine(message), this.#actions);
    item.classList.toggle("grouped", belongsTo(message, this.#talk.transcript.messages[index - 1]));
    this.#items.set(message, item);
    return item;
  }

  /** Tells a screen reader. The list itself is no live region: it would be read when older pages come. */
  #announce({ from, text, isNotice }) {
    const line = document.createElement("p");
    line.textContent = isNotice ? text : `${from}: ${text}`;
    this.#announcer.append(line);
    while (this.#announcer.children.length > ANNOUNCED) this.#announcer.firstElementChild.remove();
  }

  #scrollDown() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#newest.hidden = true;
  }
}
