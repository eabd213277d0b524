/** Who the user is: a name that anybody may take, and a secret by which this browser owns what it wrote. */

const NAME = "hubbub.name";
const KEY = "hubbub.key";

/** A browser may forbid to keep things: then they are good until the page is closed.
 *  @param {string} name @returns {string} */
function recall(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} name @param {string} value */
function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it is good for now
  }
}

/** @param {number} bytes @returns {string} random hexadecimal digits */
export function randomHex(bytes) {
  const numbers = crypto.getRandomValues(new Uint8Array(bytes));
  return Array.from(numbers, (number) => number.toString(16).padStart(2, "0")).join("");
}

/** What others call the user; empty for nobody yet. The `key` is shown to the server alone, which tells the
 *  others a hash of it. */
export const identity = { name: recall(NAME), key: recall(KEY) || randomHex(32) };
keep(KEY, identity.key);

/** @param {string} name */
export function rename(name) {
  identity.name = name;
  keep(NAME, name);
}
