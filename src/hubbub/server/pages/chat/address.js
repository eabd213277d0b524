/** The room in the page's address, after the "#". */

const FIRST = "general";

/** A name that a room can have. The server takes ASCII: "Café 2" is made "cafe-2". Empty where nothing of the
 *  text can stand in a name. @param {string} text */
export function toRoom(text) {
  const words = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return words.join("-").slice(0, 40);
}

/** The room that the user wants to see. */
export function roomInAddress() {
  try {
    return toRoom(decodeURIComponent(location.hash.slice(1))) || FIRST;
  } catch {
    return FIRST; // a broken percent sign
  }
}
