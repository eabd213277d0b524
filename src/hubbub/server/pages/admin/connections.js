/** The table of connections. */

import { button, byId, element } from "./elements.js";
import { age, bytes, count } from "./format.js";
import { Table } from "./table.js";

const PAGE = 50;

/** @param {(id: string) => void} inspect */
export function connectionTable(inspect) {
  const columns = [
    { head: "User", sort: "user", order: "ascending", class: "name", cell: userCell },
    { head: "Address", cell: ({ address }) => address || "–" },
    { head: "Transport", cell: ({ transport, protocol }) => `${transport} ${protocol}` },
    { head: "Client", cell: ({ client }) => client || "–" },
    { head: "Rooms", class: "name", cell: roomsCell },
    { head: "Queue", sort: "queue", class: "number", cell: ({ queued }) => bytes(queued) },
    { head: "Age", sort: "newest", order: "ascending", class: "number", cell: (row) => age(ageOf(row)) },
    { head: "", class: "last", cell: (row) => button("Inspect", () => inspect(row.id), { "aria-label": name(row) }) },
  ];
  const hint = "User, info, address, client, room or id";
  return new Table(byId("connections"), "connections", "connections", hint, columns, "newest", {
    first: null,
    query: (after) => (after === null ? { limit: PAGE } : { limit: PAGE, after: JSON.stringify(after) }),
    next: ({ next }) => next,
  });
}

/** How old a connection is, in seconds. */
export const ageOf = ({ opened_at: opened }) => Math.max(0, Date.now() / 1000 - opened);

const name = ({ user, id }) => `Inspect ${user ?? id}`;

function userCell({ user, info, id }) {
  const who = user === null ? element("code", { class: "muted" }, id) : element("bdi", {}, user);
  return info ? element("span", {}, who, element("br"), element("code", {}, info)) : who;
}

function roomsCell({ rooms, room_count: all }) {
  const more = all - rooms.length;
  return rooms.join(", ") + (more > 0 ? ` and ${count(more)} more` : "") || "–";
}
