/** The message box: Enter sends, Shift+Enter breaks the line, and one's own message comes back to be edited. */

import { byId } from "./elements.js";

/** @import { Message } from "./transcript.js" */

export class Composer {
  #form = byId("composer");
  #box = this.#form.elements.text;
  #bar = byId("editing");
  /** @type {Message | undefined} The message that is being edited. */
  #edited;
  #actions;

  /** @param {{ send: (text: string) => boolean, change: (message: Message, text: string) => Promise<boolean>,
   *  editLast: () => void, typed: () => void }} actions `send` and `change` say whether the text is taken */
  constructor(actions) {
    this.#actions = actions;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#box.addEventListener("keydown", (event) => this.#pressed(event));
    this.#box.addEventListener("input", () => {
      this.#fit();
      if (this.#box.value && !this.#edited) actions.typed();
    });
    byId("cancel-edit").addEventListener("click", () => this.cancel());
  }

  focus() {
    this.#box.focus();
  }

  /** @param {Message} message */
  edit(message) {
    this.#edited = message;
    this.#bar.hidden = false;
    this.#write(message.text);
    this.#box.focus();
  }

  /** Ends editing, if there is any; the message stays as it is. */
  cancel() {
    if (!this.#edited) return;
    this.#edited = undefined;
    this.#bar.hidden = true;
    this.#write("");
    this.#box.focus();
  }

  async #submit() {
    const text = this.#box.value.trim();
    const edited = this.#edited;
    if (!text) return;
    if (!edited) {
      if (this.#actions.send(text)) this.#write("");
    } else if (text === edited.text || (await this.#actions.change(edited, text))) {
      if (this.#edited === edited) this.cancel();
    }
  }

  /** While an input method composes, the keys belong to it. @param {KeyboardEvent} event */
  #pressed(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#form.requestSubmit();
    } else if (event.key === "Escape") {
      this.cancel();
    } else if (event.key === "ArrowUp" && !this.#box.value && !this.#edited) {
      event.preventDefault();
      this.#actions.editLast();
    }
  }

  #write(text) {
    this.#box.value = text;
    this.#fit();
  }

  /** Up to five lines; the rest scrolls. */
  #fit() {
    this.#box.rows = 1;
    while (this.#box.rows < 5 && this.#box.scrollHeight > this.#box.clientHeight) this.#box.rows += 1;
  }
}
