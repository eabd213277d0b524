/** The table of rooms. */

import { publishInto } from "./dialogs.js";
import { button, byId, element } from "./elements.js";
import { count, rate } from "./format.js";
import { Table } from "./table.js";

const PAGE = 50;

/** @param {(room: string) => void} showMembers */
export function roomTable(showMembers) {
  const columns = [
    { head: "Room", sort: "name", order: "ascending", class: "name", cell: ({ name }) => element("bdi", {}, name) },
    { head: "Members", sort: "members", class: "number", cell: ({ members }) => count(members) },
    {
      head: "Publications",
      sort: "rate",
      class: "number",
      cell: (row) => (row.rate === null ? "…" : rate(row.rate)),
    },
    { head: "History", class: "number", cell: ({ history }) => (history === null ? "none" : `≤ ${count(history)}`) },
    { head: "Presence", cell: ({ presence }) => (presence ? "yes" : "no") },
    { head: "Nodes", class: "number", cell: ({ nodes }) => count(nodes) },
    { head: "", class: "last", cell: (row) => actions(row, showMembers) },
  ];
  byId("publish").addEventListener("click", () => publishInto());
  return new Table(byId("rooms"), "rooms", "rooms", "Part of a name", columns, "name", {
    first: 0,
    query: (offset) => ({ offset, limit: PAGE }),
    next: ({ total }, offset) => (offset + PAGE < total ? offset + PAGE : null),
  });
}

function actions({ name }, showMembers) {
  return element(
    "span",
    {},
    button("Members", () => showMembers(name), { "aria-label": `Members of ${name}` }),
    " ",
    button("Publish", () => publishInto(name), { "aria-label": `Publish into ${name}` }),
  );
}
