/** The conversation on the page: what was said, notices, and one's own messages on their way. */

const KEPT = 500;
const GROUP_MS = 5 * 60 * 1000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });

/** A copy of a template's element. Texts are set as text, never as HTML. @param {string} id */
export function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** Fills in the first letter and a colour that is always the same for a name. */
export function paintAvatar(element, name) {
  const [first = "?"] = name;
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 8;
  element.textContent = first.toUpperCase();
  element.classList.add(`hue-${sum}`);
}

function showTime(element, date) {
  element.dateTime = date.toISOString();
  element.textContent = clock.format(date);
}

export class Conversation {
  #log = document.getElementById("log");
  #pending = document.getElementById("pending");
  #scroller = document.getElementById("scroller");
  #newest = document.getElementById("newest");
  /** Who spoke last, and when: the next message of the same person joins the group. */
  #last = { from: "", at: 0 };

  /** Called with the text of a message that is to be sent again. */
  onresend = (_text) => {};

  constructor() {
    this.#newest.addEventListener("click", () => this.#scrollDown());
    this.#scroller.addEventListener("scroll", () => {
      if (this.#isAtEnd()) this.#newest.hidden = true;
    });
  }

  clear() {
    this.#log.replaceChildren();
    this.#pending.replaceChildren();
    this.#newest.hidden = true;
    this.#last = { from: "", at: 0 };
  }

  /** Somebody said something. If it is the echo of an own message, that is not pending any more. */
  say(from, text, mine) {
    const now = new Date();
    const item = fromTemplate("message-template");
    item.classList.toggle("mine", mine);
    item.classList.toggle("grouped", this.#last.from === from && now - this.#last.at < GROUP_MS);
    paintAvatar(item.querySelector(".avatar"), from);
    item.querySelector(".from").textContent = from;
    item.querySelector(".text").textContent = text;
    showTime(item.querySelector("time"), now);
    const isEcho = mine && this.#confirm(text);
    this.#last = { from, at: now };
    this.#append(item, isEcho);
  }

  notice(text) {
    const item = fromTemplate("notice-template");
    item.querySelector("bdi").textContent = text;
    showTime(item.querySelector("time"), new Date());
    this.#last = { from: "", at: 0 };
    this.#append(item, false);
  }

  /** Shows an own message until the server has sent it back. @param {boolean} queued there is no connection yet */
  addPending(text, queued) {
    const item = fromTemplate("pending-template");
    item.querySelector(".text").textContent = text;
    item.querySelector("button").addEventListener("click", () => {
      item.remove();
      this.onresend(text);
    });
    this.#mark(item, queued ? "queued" : "sent");
    this.#pending.append(item);
    this.#scrollDown();
  }

  /** The connection is back: what was queued goes out. */
  sentQueued() {
    for (const item of this.#pending.querySelectorAll(".queued")) this.#mark(item, "sent");
  }

  /** The connection is lost: nobody knows what became of the messages sent. @param {boolean} over for good */
  lost(over) {
    const doubtful = over ? ".sent, .queued" : ".sent";
    for (const item of this.#pending.querySelectorAll(doubtful)) this.#mark(item, "doubtful");
  }

  #mark(item, mark) {
    const notes = { queued: "Waiting for the connection", sent: "Sending", doubtful: "Not confirmed" };
    item.classList.remove("queued", "sent", "doubtful");
    item.classList.add(mark);
    item.querySelector(".note span").textContent = notes[mark];
    item.querySelector("button").hidden = mark !== "doubtful";
  }

  #confirm(text) {
    const isIt = (item) => item.querySelector(".text").textContent === text;
    const item = [...this.#pending.children].find(isIt);
    item?.remove();
    return item !== undefined;
  }

  #append(item, follow) {
    const stay = !follow && !this.#isAtEnd();
    this.#log.append(item);
    while (this.#log.children.length > KEPT) this.#log.firstElementChild.remove();
    this.#log.firstElementChild.classList.remove("grouped");
    if (stay) this.#newest.hidden = false;
    else this.#scrollDown();
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < 60;
  }

  #scrollDown() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#newest.hidden = true;
  }
}
