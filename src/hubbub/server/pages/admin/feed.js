/** The live socket: shows the key first, then hears of every node once a second. */

import { ReconnectingWebSocket } from "/hubbub.js";
import { key } from "./session.js";

const REFUSED = 1008;

/** Its events: hello, snapshot, frames, state (live, waiting) and refused; `detail` is what came. */
export class Feed extends EventTarget {
  #socket;
  #isOpen = false;

  constructor() {
    super();
    this.#socket = new ReconnectingWebSocket("/admin/feed", [], { maxDelay: 5000 });
    this.#socket.addEventListener("open", () => this.#socket.send(JSON.stringify({ key: key() })));
    this.#socket.addEventListener("message", ({ data }) => this.#hear(JSON.parse(data)));
    this.#socket.addEventListener("close", ({ code }) => this.#closed(code));
  }

  /** Asks for something, like frames; forgotten when there is no connection. @param {object} request */
  ask(request) {
    if (this.#isOpen) this.#socket.send(JSON.stringify(request));
  }

  stop() {
    this.#socket.close();
  }

  #hear(message) {
    if (message.hello) {
      this.#isOpen = true;
      this.#tell("state", "live");
    }
    for (const type of ["hello", "snapshot", "frames"]) if (type in message) this.#tell(type, message);
  }

  #closed(code) {
    this.#isOpen = false;
    this.#tell(code === REFUSED ? "refused" : "state", "waiting");
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
