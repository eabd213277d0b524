/** The admin key, in this tab alone, and requests that show it. */

const ITEM = "hubbub.admin.key";

/** What to do when the server does not know the key (any more). @type {() => void} */
let onRefused = () => {};

/** @param {() => void} handler */
export const whenRefused = (handler) => (onRefused = handler);

/** The key; null before the login. */
export const key = () => sessionStorage.getItem(ITEM);

/** @param {string} value */
export const remember = (value) => sessionStorage.setItem(ITEM, value);

export const forget = () => sessionStorage.removeItem(ITEM);

/** What a request that failed was answered with. */
export class Refused extends Error {
  constructor(status, text) {
    super(text.trim() || `The server answered ${status}`);
    this.status = status;
  }
}

/**
 * Asks the server; with a body it is a command.
 * @param {string} path below /admin/api/ @param {object} [body]
 * @throws {Refused} and TypeError where there is no server
 */
export async function call(path, body) {
  const headers = { Authorization: `Bearer ${key()}` };
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(`/admin/api/${path}`, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
  });
  if (answer.status === 401) onRefused();
  if (!answer.ok) throw new Refused(answer.status, await answer.text());
  return answer.json();
}
