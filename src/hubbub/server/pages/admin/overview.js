/** The overview: charts of all nodes in sum or of one, and the table of nodes. */

import { Chart } from "./chart.js";
import { confirmed } from "./dialogs.js";
import { button, byId, element, notify } from "./elements.js";
import { age, bytes, count, milliseconds, percent, rate } from "./format.js";
import { call } from "./session.js";

const MOST_LINES = 8; // of single nodes behind the sum

const CHARTS = {
  connections: ["Connections", count, 10],
  rooms: ["Rooms", count, 10],
  messages_in: ["Messages in", rate, 10],
  messages_out: ["Messages out", rate, 10],
  queued: ["Bytes queued", bytes, 1024],
  slow: ["Slow readers closed", rate, 1],
  lag: ["Event loop late by", milliseconds, 0.01],
  latency: ["Broker answers in", milliseconds, 0.005],
  cpu: ["Processor", percent, 1],
};

const COLUMNS = ["Node", "Connections", "Rooms", "In", "Out", "Queued", "Slow", "Loop late", "Broker", "CPU", "Age", ""];

export class Overview {
  #series;
  #charts = new Map();
  #rows = new Map(); // by node; kept, so that the focus stays on a button when the figures change

  /** @param {import("./series.js").Series} series */
  constructor(series) {
    this.#series = series;
    for (const [name, [title, format, least]] of Object.entries(CHARTS)) {
      const chart = new Chart(title, format, least);
      this.#charts.set(name, chart);
      byId("charts").append(chart.element);
    }
    const heads = COLUMNS.map((name, index) => head(name, index));
    this.body = element("tbody");
    byId("nodes").append(element("table", {}, element("thead", {}, element("tr", {}, ...heads)), this.body));
    byId("which").addEventListener("change", () => this.draw());
  }

  draw() {
    const nodes = this.#series.nodes;
    this.#offer(nodes);
    const chosen = byId("which").value;
    const single = !chosen && nodes.length > 1 && nodes.length <= MOST_LINES ? nodes : [];
    for (const [name, chart] of this.#charts) {
      chart.draw(this.#series.line(name, chosen), single.map(({ node }) => this.#series.line(name, node)));
    }
    this.#tabulate(nodes);
  }

  /** The choice of nodes, without touching what is there already. */
  #offer(nodes) {
    const select = byId("which");
    const known = new Set(nodes.map(({ node }) => node));
    for (const option of [...select.options]) if (option.value && !known.has(option.value)) option.remove();
    const there = new Set([...select.options].map(({ value }) => value));
    for (const { node, name } of nodes) {
      if (!there.has(node)) select.append(element("option", { value: node }, name));
    }
  }

  #tabulate(nodes) {
    for (const [id, row] of this.#rows) {
      if (nodes.some(({ node }) => node === id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const node of nodes) {
      if (!this.#rows.has(node.node)) this.#rows.set(node.node, makeRow(node));
      const row = this.#rows.get(node.node);
      if (row.parentNode !== this.body) this.body.append(row);
      describe(node).forEach((text, index) => (row.cells[index].textContent = text));
    }
  }
}

function head(name, index) {
  if (!name) return element("th", { scope: "col" }, element("span", { class: "unseen" }, "Actions"));
  return element("th", { scope: "col", class: index && "number" }, name);
}

function makeRow({ node, name }) {
  const cells = COLUMNS.map((_, index) => element("td", { class: index ? "number" : "name" }));
  cells.at(-1).append(button("Drain", () => drain(node, name), { "aria-label": `Drain ${name}` }));
  return element("tr", {}, ...cells);
}

/** The texts of a row, but for its buttons. */
function describe({ name, isLost, connections, rooms, queued, slow, lag, broker, latency, started, at, figures }) {
  const known = (value, format) => (value === null ? "–" : format(value));
  return [
    isLost ? `${name} (not heard)` : name,
    count(connections),
    count(rooms),
    known(figures.messages_in, rate),
    known(figures.messages_out, rate),
    bytes(queued),
    count(slow),
    milliseconds(lag),
    broker ? known(latency, milliseconds) : "away",
    known(figures.cpu, percent),
    age(at - started),
  ];
}

async function drain(node, name) {
  const text = "Its clients are told to reconnect, spread over the drain's time, then the process ends. "
    + "With several workers another one starts in its place.";
  if (!(await confirmed(`Drain ${name}?`, text, "Drain"))) return;
  try {
    await call("drain", { node });
    notify(`${name} is draining`);
  } catch (error) {
    notify(error.message);
  }
}
