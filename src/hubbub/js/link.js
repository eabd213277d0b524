/** One connection to a server, from its attempt to its end. */

import { ABNORMAL, NORMAL, OPEN } from "./codes.js";

/** @import { Link, LinkEnd, LinkEnded, LinkOptions, Sendable, Socket } from "./types.d.ts" */

const PING = /^\s*{\s*"type"\s*:\s*"ping"\s*}\s*$/;

/** Where to connect. @param {LinkOptions} options @param {string | null | undefined | void} token */
function address({ url, tokenParam, heartbeat }, token) {
  const own = new URL(url);
  if (token) own.searchParams.set(tokenParam, token);
  if (heartbeat) own.searchParams.set("heartbeat", "1");
  return own;
}

/** One attempt, and the connection it becomes. It ends once, whatever the browser's socket does.
 *  @param {LinkOptions} options where to connect, and within which limits
 *  @param {() => void} opened @param {(event: MessageEvent) => void} heard @param {LinkEnded} ended
 *  @returns {Link} */
export function makeLink(options, opened, heard, ended) {
  /** @type {Socket | undefined} */
  let socket;
  let isOver = false;
  let hasFailed = false;
  let hasHeard = false;
  let openedAt = Infinity;
  let heardAt = 0;
  const { now } = Date; // it also counts the time that the computer sleeps

  const isOpen = () => !isOver && socket?.readyState === OPEN;
  const finish = (/** @type {LinkEnd} */ end) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    socket?.close(); // the browser tells nothing more of it that is heard
    // never within the user's own call of close()
    queueMicrotask(() => ended(end, hasFailed, hasHeard, now() - openedAt >= options.minDelay));
  };
  const fail = (/** @type {string} */ reason, error = /** @type {unknown} */ (undefined)) => {
    hasFailed = true;
    finish({ code: ABNORMAL, reason, error });
  };
  const connect = async () => {
    const token = await options.getToken?.();
    if (isOver) return;
    socket = options.makeSocket(address(options, token), options.protocols);
    socket.onopen = (event) => {
      heardAt = now();
      if (event) openedAt = heardAt; // a stream says so before it knows: it has only what it hears
      watch();
      opened();
    };
    socket.onmessage = (event) => {
      heardAt = now();
      if (options.heartbeat && PING.test(event.data)) return send("pong");
      heard(event);
      hasHeard ||= !isOver; // what made a listener drop it was no success
    };
    socket.onerror = () => {
      hasFailed = true;
      setTimeout(finish, 0, { code: ABNORMAL }); // Chromium does so alone where the page's policy forbids it
    };
    socket.onclose = finish;
  };
  const watch = () => {
    if (!isOpen()) return;
    clearTimeout(timer);
    heardAt = Math.min(heardAt, now()); // later it cannot have been: the clock was put back
    const left = heardAt + options.watchdog - now();
    if (left > 0) timer = setTimeout(watch, left);
    else if (options.watchdog) fail("silent too long");
  };
  const send = (/** @type {Sendable} */ data) => isOpen() && (socket?.send(data), true);
  /** @type {Link["drop"]} */
  const drop = (code, reason) => finish({ code, reason, wasClean: true });
  /** @type {Link["close"]} */
  const close = (code, reason) => {
    if (socket && !isOver) return socket.close(reason === undefined ? code : (code ?? NORMAL), reason);
    isOver = hasFailed = false; // its owner hears of this end, too
    finish({ code: ABNORMAL });
  };

  let timer = setTimeout(() => fail("not in time"), options.connectTimeout); // later it watches for silence
  connect().catch((error) => fail(`${error}`, error));
  return { socket: () => socket, send, watch, close, drop };
}
