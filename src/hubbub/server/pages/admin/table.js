/** A table that the server searches, sorts and cuts to pages; it stays fresh while it is looked at. */

import { button, element } from "./elements.js";
import { count } from "./format.js";
import { call } from "./session.js";

const PAUSE = 300; // ms after a key before the search begins
const FRESH = 5000; // ms between looks
const SHARE = 500; // how many times longer a pause is than the answer before it took

/**
 * A column: its head, what it sorts by, how a row is shown.
 * @typedef {{ head: string, sort?: string, order?: string, class?: string, cell: (row: any) => Node | string }} Column
 */

export class Table {
  #path;
  #columns;
  #paging;
  #sort;
  #position; // of the page that is shown
  #visited = []; // the positions before it
  #next = null;
  #timer = 0;
  #asked = 0; // numbers the requests: only the newest answer counts
  #search;
  #heads;
  #body = element("tbody");
  #said = element("p", { role: "status" });
  #back;
  #forth;

  /**
   * @param {HTMLElement} place @param {string} path that is asked @param {string} label @param {string} hint
   * @param {Column[]} columns
   * @param {string} sort at first
   * @param {{ first: any, query: (position: any) => object, next: (answer: any, position: any) => any }} paging
   */
  constructor(place, path, label, hint, columns, sort, paging) {
    this.#path = path;
    this.#columns = columns;
    this.#paging = paging;
    this.#sort = sort;
    this.#position = paging.first;
    this.#search = element("input", { type: "search", placeholder: hint, "aria-label": `Search ${label}`, maxlength: 255 });
    this.#search.addEventListener("input", () => this.#later(PAUSE, true));
    this.#heads = columns.map((column) => this.#head(column));
    this.#back = button("Previous", () => this.#leaf(this.#visited.pop(), false));
    this.#forth = button("Next", () => this.#leaf(this.#next, true));
    const head = element("thead", {}, element("tr", {}, ...this.#heads));
    const table = element("table", {}, element("caption", { class: "unseen" }, label), head, this.#body);
    place.append(
      element("div", { class: "tools" }, this.#search),
      element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table),
      element("div", { class: "pager" }, this.#said, element("p", { class: "actions" }, this.#back, this.#forth)),
    );
    this.#mark();
  }

  /** It is looked at from now on. */
  enter() {
    this.refresh();
  }

  /** It is looked at no longer. */
  leave() {
    clearTimeout(this.#timer);
    this.#asked++;
  }

  /** Search for something else. @param {string} text */
  search(text) {
    this.#search.value = text;
    this.#later(0, true);
  }

  async refresh() {
    clearTimeout(this.#timer);
    const number = ++this.#asked;
    const began = performance.now();
    const query = { search: this.#search.value.trim(), sort: this.#sort, ...this.#paging.query(this.#position) };
    try {
      const answer = await call(`${this.#path}?${new URLSearchParams(query)}`);
      if (number !== this.#asked) return;
      this.#show(answer);
    } catch (error) {
      if (number !== this.#asked) return;
      this.#said.textContent = error.message;
    }
    this.#later(Math.max(FRESH, SHARE * (performance.now() - began)), false);
  }

  #later(delay, isNew) {
    clearTimeout(this.#timer);
    if (isNew) this.#begin();
    this.#timer = setTimeout(() => (document.hidden ? this.#later(FRESH, false) : this.refresh()), delay);
  }

  #begin() {
    this.#position = this.#paging.first;
    this.#visited = [];
  }

  #leaf(position, isForward) {
    if (isForward) this.#visited.push(this.#position);
    this.#position = position;
    this.refresh();
  }

  #head({ head, sort, class: kind }) {
    const text = sort ? button(head, () => this.#order(sort)) : head || element("span", { class: "unseen" }, "Actions");
    return element("th", { scope: "col", class: kind ?? null }, text);
  }

  #order(sort) {
    this.#sort = sort;
    this.#mark();
    this.#begin();
    this.refresh();
  }

  #mark() {
    this.#columns.forEach(({ sort, order }, index) => {
      if (sort && sort === this.#sort) this.#heads[index].setAttribute("aria-sort", order ?? "descending");
      else this.#heads[index].removeAttribute("aria-sort");
    });
  }

  /** A row that has the focus in it stays what it is, or a key pressed now would do something else. */
  #show(answer) {
    const { rows, total, nodes } = answer;
    this.#next = this.#paging.next(answer, this.#position);
    const pages = this.#visited.length;
    this.#back.disabled = !pages;
    this.#forth.disabled = this.#next === null;
    const where = rows.length ? `page ${count(pages + 1)} of ` : "";
    const cluster = nodes > 1 ? ` on ${nodes} nodes` : "";
    this.#said.textContent = `${where}${count(total)} ${total === 1 ? "entry" : "entries"}${cluster}`;
    const focused = this.#body.contains(document.activeElement) && document.activeElement;
    const [line, place] = focused ? [focused.closest("tr").dataset.key, focused.textContent] : [];
    this.#body.replaceChildren(...rows.map((row) => this.#row(row)));
    for (const one of line ? this.#body.rows : []) {
      if (one.dataset.key !== line) continue;
      [...one.querySelectorAll("button")].find(({ textContent }) => textContent === place)?.focus();
    }
  }

  #row(row) {
    const cells = this.#columns.map(({ cell, class: kind }) => element("td", { class: kind ?? null }, cell(row)));
    return element("tr", { "data-key": row.id ?? row.name }, ...cells);
  }
}
