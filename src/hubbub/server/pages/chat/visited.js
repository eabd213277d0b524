/** The rooms that this browser is in, and how far it has read there. */

const KEY = "hubbub.rooms";
/** The server lets a connection into 128. */
const MOST = 100;

/** @typedef {{ epoch: string, offset: number }} Mark */

/** @type {Record<string, Mark>} What is known if the browser keeps nothing. */
let known = {};

/** Other windows of the browser write, too: it is read anew each time. @returns {Record<string, Mark>} */
function recall() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? known;
  } catch {
    return known;
  }
}

/** @param {Record<string, Mark>} rooms */
function keep(rooms) {
  known = rooms;
  try {
    localStorage.setItem(KEY, JSON.stringify(rooms));
  } catch {
    // it is good for now
  }
}

/** The names of the rooms, the newest of them if there are too many. */
export const visited = () => Object.keys(recall()).slice(-MOST);

/** How far the room was read. @param {string} room @returns {Mark | undefined} */
export const markOf = (room) => recall()[room];

/** The user is in the room, and has read so far. @param {string} room @param {Mark} [mark] */
export function remember(room, mark) {
  keep({ ...recall(), [room]: mark ?? markOf(room) ?? { epoch: "", offset: 0 } });
}

/** The user is not in the room any more. @param {string} room */
export function forget(room) {
  const { [room]: _, ...others } = recall();
  keep(others);
}
