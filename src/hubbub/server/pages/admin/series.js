/** What the nodes said over the last minutes, and the lines that charts make of it. */

const SPAN = 300; // seconds that are kept
const LEAST_SPAN = 60; // that are shown
const STALE = 4; // seconds after which a node's last word counts no more

/** How a figure comes about: a function of a node's snapshot and the one before it. */
const gauge = (name) => (now) => now[name];
const perSecond = (name) => (now, before) =>
  before && now.at > before.at ? Math.max(0, (now[name] - before[name]) / (now.at - before.at)) : null;

const SUM = (values) => values.reduce((sum, value) => sum + value, 0);
const WORST = (values) => Math.max(...values);

/** Each figure: how it is read, and what all nodes make together. */
export const FIGURES = {
  connections: [gauge("connections"), SUM],
  rooms: [gauge("rooms"), SUM],
  messages_in: [perSecond("messages_in"), SUM],
  messages_out: [perSecond("messages_out"), SUM],
  queued: [gauge("queued"), SUM],
  slow: [perSecond("slow"), SUM],
  lag: [gauge("lag"), WORST],
  latency: [gauge("latency"), WORST],
  cpu: [perSecond("cpu"), SUM],
};

export class Series {
  /** @type {Map<string, {at: number, figures: Record<string, number | null>, snapshot: any}[]>} By node. */
  #nodes = new Map();
  #skew = 0; // how much this clock is ahead of the server's

  /** @param {number} serverNow seconds since the epoch, as the server's clock has it */
  synchronize(serverNow) {
    this.#skew = Date.now() / 1000 - serverNow;
  }

  clear() {
    this.#nodes.clear();
  }

  /** Takes what a node said. */
  add(snapshot) {
    const points = this.#nodes.get(snapshot.node) ?? [];
    const last = points.at(-1);
    const before = last?.snapshot.started === snapshot.started ? last.snapshot : null;
    if (before && snapshot.at <= before.at) return;
    const figures = {};
    for (const [name, [read]] of Object.entries(FIGURES)) figures[name] = read(snapshot, before);
    points.push({ at: snapshot.at + this.#skew, figures, snapshot });
    while (points[0].at < Date.now() / 1000 - SPAN - STALE) points.shift();
    this.#nodes.set(snapshot.node, points);
  }

  /** The newest of each node that still talks, by name: its snapshot and its figures. */
  get nodes() {
    const now = Date.now() / 1000;
    const last = [...this.#nodes.values()].map((points) => points.at(-1)).filter((one) => now - one.at < SPAN);
    return last
      .map(({ at, snapshot, figures }) => ({ ...snapshot, figures, isLost: now - at > STALE }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** How many seconds there are to show. */
  get span() {
    const first = Math.min(...[...this.#nodes.values()].map(([point]) => point.at));
    return Math.min(SPAN, Math.max(LEAST_SPAN, Math.ceil(Date.now() / 1000 - first) || 0));
  }

  /**
   * One value for each of the last seconds, oldest first; null where nobody said anything.
   * @param {string} name of a figure @param {string} [node] only this one's
   */
  line(name, node) {
    const now = Math.floor(Date.now() / 1000);
    const chosen = node ? [this.#nodes.get(node) ?? []] : [...this.#nodes.values()];
    const together = FIGURES[name][1];
    const cursors = chosen.map(() => 0);
    const line = [];
    for (let second = now - this.span + 1; second <= now; second++) {
      const values = [];
      chosen.forEach((points, index) => {
        while (cursors[index] < points.length && points[cursors[index]].at < second + 1) cursors[index]++;
        const point = points[cursors[index] - 1];
        const value = point?.figures[name];
        if (point && second - point.at < STALE && value !== null && value !== undefined) values.push(value);
      });
      line.push(values.length ? together(values) : null);
    }
    return line;
  }
}
