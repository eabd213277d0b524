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

/** @param {HTMLTimeElement} element @param {Date | null} date null where nobody knows */
function showTime(element, date) {
  if (!date) return;
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

  /** Another room, or the same one from the beginning. @param {boolean} keepPending own messages stay */
  clear(keepPending = false) {
    this.#log.replaceChildren();
    if (!keepPending) this.#pending.replaceChildren();
    this.#newest.hidden = true;
    this.#last = { from: "", at: 0 };
  }

  /** Somebody said something.
   *  @param {{ from: string, text: string, date: Date | null, mine: boolean, isEcho: boolean }} message
   *  `isEcho`: it was said on this page, and is not pending any more */
  say({ from, text, date, mine, isEcho }) {
    const at = date?.getTime() ?? this.#last.at;
    const item = fromTemplate("message-template");
    item.classList.toggle("mine", mine);
    item.classList.toggle("grouped", this.#last.from === from && at - this.#last.at < GROUP_MS);
    paintAvatar(item.querySelector(".avatar"), from);
    item.querySelector(".from").textContent = from;
    item.querySelector(".text").textContent = text;
    showTime(item.querySelector("time"), date);
    this.#last = { from, at };
    this.#append(item, isEcho && this.#confirm(text));
  }

  notice(text) {
    const item = fromTemplate("notice-template");
    item.querySelector("bdi").textContent = text;
    showTime(item.querySelector("time"), new Date());
    this.#last = { from: "", at: 0 };
    this.#append(item, false);
  }

  /** Shows an own message until the server has sent it back.
   *  @param {boolean} queued there is no connection yet @returns {HTMLElement} */
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
    return item;
  }

  /** An own message did not arrive, or nobody knows.
   *  @param {HTMLElement} item @param {{ code?: number, message: string }} error */
  failed(item, error) {
    if (error.code === 0) this.#mark(item, "doubtful");
    else this.#mark(item, "failed", `Not sent: ${error.message}`);
  }

  /** The connection is back: what was queued goes out. */
  sentQueued() {
    for (const item of this.#pending.querySelectorAll(".queued")) this.#mark(item, "sent");
  }

  #mark(item, mark, note) {
    const notes = { queued: "Waiting for the connection", sent: "Sending", doubtful: "Not confirmed" };
    item.classList.remove("queued", "sent", "doubtful", "failed");
    item.classList.add(mark);
    item.querySelector(".note span").textContent = note ?? notes[mark];
    item.querySelector("button").hidden = mark === "queued" || mark === "sent";
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
