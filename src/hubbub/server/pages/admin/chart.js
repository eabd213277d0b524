/** One chart: a line over the last minutes, what it is now, and what it was where the pointer is. */

import { element, shape } from "./elements.js";
import { age } from "./format.js";

const HEIGHT = 100;

export class Chart {
  #title;
  #format;
  #least;
  #now = element("output");
  #most = element("span");
  #area = shape("path", { class: "area" });
  #sum = shape("path", { class: "sum" });
  #others = shape("g");
  #cursor = shape("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  #picture;
  #grid = [0, HEIGHT / 2, HEIGHT].map((y) => shape("line", { class: "grid", x1: 0, y1: y, y2: y }));
  #span = element("span");
  #line = [];
  #pointed = -1; // the second that the pointer is at; -1 for none

  /**
   * @param {string} title
   * @param {(value: number) => string} format
   * @param {number} least the scale's top where all is less, so that noise does not look like mountains
   */
  constructor(title, format, least) {
    this.#title = title;
    this.#format = format;
    this.#least = least;
    const attributes = { role: "img", preserveAspectRatio: "none" };
    this.#picture = shape("svg", attributes, ...this.#grid, this.#area, this.#others, this.#sum, this.#cursor);
    this.#picture.addEventListener("pointermove", (event) => this.#point(event));
    this.#picture.addEventListener("pointerleave", () => this.#point(null));
    const scale = element("div", { class: "scale" }, this.#most, this.#span);
    const caption = element("figcaption", {}, title, this.#now);
    this.element = element("figure", { class: "chart" }, caption, this.#picture, scale);
  }

  /** @param {(number | null)[]} line a value a second @param {(number | null)[][]} others thin ones behind it */
  draw(line, others = []) {
    this.#line = line;
    const most = Math.max(this.#least, ...line.map(Number), ...others.flat().map(Number));
    const y = (value) => (HEIGHT - (value / most) * HEIGHT).toFixed(1);
    this.#sum.setAttribute("d", path(line, y));
    this.#area.setAttribute("d", area(line, y));
    this.#others.replaceChildren(...others.map((one) => shape("path", { class: "node", d: path(one, y) })));
    this.#picture.setAttribute("viewBox", `0 0 ${line.length - 1} ${HEIGHT}`);
    for (const one of this.#grid) one.setAttribute("x2", line.length - 1);
    this.#span.textContent = age(line.length);
    this.#most.textContent = `0 – ${this.#format(most)}`;
    this.#tell();
  }

  #point(event) {
    const box = this.#picture.getBoundingClientRect();
    this.#pointed = event ? Math.round(((event.clientX - box.left) / box.width) * (this.#line.length - 1)) : -1;
    this.#tell();
  }

  #tell() {
    const last = this.#line.findLast((value) => value !== null);
    const value = this.#pointed >= 0 ? this.#line[this.#pointed] : last;
    const shown = value === undefined || value === null ? "–" : this.#format(value);
    const ago = this.#pointed >= 0 ? ` ${age(this.#line.length - 1 - this.#pointed)} ago` : "";
    this.#now.textContent = shown + ago;
    this.#cursor.setAttribute("visibility", this.#pointed >= 0 ? "visible" : "hidden");
    this.#cursor.setAttribute("x1", this.#pointed);
    this.#cursor.setAttribute("x2", this.#pointed);
    const now = last === undefined ? "nothing yet" : this.#format(last);
    const most = this.#format(Math.max(0, ...this.#line.map(Number)));
    this.#picture.setAttribute("aria-label", `${this.#title}: now ${now}, at most ${most} in ${age(this.#line.length)}`);
  }
}

/** The runs of values that follow each other: where they begin, and what they are. */
function* runs(line) {
  let run = [];
  for (const [index, value] of [...line, null].entries()) {
    if (value !== null) run.push([index, value]);
    else if (run.length) {
      yield run;
      run = [];
    }
  }
}

function path(line, y) {
  return [...runs(line)].map((run) => `M${run.map(([x, value]) => `${x} ${y(value)}`).join("L")}`).join("");
}

function area(line, y) {
  const closed = (run) => `M${run[0][0]} ${HEIGHT}L${run.map(([x, value]) => `${x} ${y(value)}`).join("L")}`;
  return [...runs(line)].map((run) => `${closed(run)}L${run.at(-1)[0]} ${HEIGHT}Z`).join("");
}
