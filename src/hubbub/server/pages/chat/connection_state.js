/** What the page says of the connection: a word in the header, and while there is trouble a bar with a countdown. */

const TOLD_MS = 6000;

export class ConnectionState {
  #word = document.getElementById("state");
  #trouble = document.getElementById("trouble");
  #text = document.getElementById("trouble-text");
  #countdown = document.getElementById("countdown");
  #retry = document.getElementById("retry");
  /** Draws the countdown. */
  #ticker = 0;

  /** Why the server refused, in its words; it says so before it closes. */
  refused = "";

  /** @param {() => void} onretry the user wants the next try now */
  constructor(onretry) {
    this.#retry.addEventListener("click", onretry);
  }

  /** Another connection begins. */
  begin() {
    this.refused = "";
    this.#say("wait", "Connecting");
    this.#trouble.hidden = true;
    clearInterval(this.#ticker);
  }

  /** It is over: only the user begins again. @param {number} code */
  over(code) {
    clearInterval(this.#ticker);
    this.#say("bad", "Disconnected");
    this.#explain(this.refused || `The server closed the connection (${code}).`, "", "Connect again");
    this.#trouble.classList.add("over");
  }

  /** Draws attention to the bar. @param {string} [text] */
  remind(text) {
    if (text) this.#text.textContent = text;
    this.#trouble.hidden = false;
    this.#retry.focus();
  }

  /** Says something for a few seconds. @param {string} text */
  tell(text) {
    this.#explain(text, "", "");
    setTimeout(() => (this.#trouble.hidden ||= this.#text.textContent === text), TOLD_MS);
  }

  /** The page has the room. */
  good() {
    clearInterval(this.#ticker);
    this.#say("good", "Connected");
    this.#trouble.hidden = true;
  }

  /** It is away for now. @param {number} at time of the next try */
  waiting(at) {
    const left = () => Math.max(0, Math.ceil((at - Date.now()) / 1000));
    const tick = () => {
      this.#countdown.textContent = left() > 0 ? `Next try in ${left()} s.` : "Trying now.";
    };
    clearInterval(this.#ticker);
    this.#ticker = setInterval(tick, 250);
    this.#say("wait", "Reconnecting");
    this.#explain("The connection is lost.", "", "Try now");
    tick();
  }

  #say(kind, word) {
    this.#word.dataset.kind = kind;
    this.#word.textContent = word;
  }

  #explain(text, countdown, action) {
    this.#trouble.classList.remove("over");
    this.#text.textContent = text;
    this.#countdown.textContent = countdown;
    this.#retry.textContent = action;
    this.#retry.hidden = !action;
    this.#trouble.hidden = false;
  }
}
