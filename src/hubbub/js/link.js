/** One connection to a server, from its attempt to its end. */

/** @import { Link, LinkEnd, LinkOptions, LinkOwner } from "./types.d.ts" */

const OPEN = 1;
const PING = /^\s*\{\s*"type"\s*:\s*"ping"\s*\}\s*$/;

/** One attempt, and the connection it becomes. It ends exactly once, whatever the browser's socket does.
 *  @param {LinkOptions} options where to connect, and within which limits
 *  @param {LinkOwner} owner hears of its life @returns {Link} */
export function makeLink(options, owner) {
  /** When the last message came. `Date.now()` also counts the time that the computer sleeps. */
  let heardAt = 0;

  const finish = (/** @type {LinkEnd} */ end) => {
    if (link.hasEnded) return;
    link.hasEnded = true;
    clearTimeout(timer);
    link.socket?.close(); // the browser tells nothing more of it that is heard
    queueMicrotask(() => owner.onend(end)); // never within the user's own call of close()
  };
  /** @type {(reason: string, error?: unknown) => void} */
  const abandon = (reason, error) => {
    finish({ code: 1006, reason, wasClean: false, error });
  };
  const opened = () => {
    clearTimeout(timer);
    link.openedAt = heardAt = Date.now();
    link.checkSilence();
    owner.onopen();
  };
  const received = (/** @type {MessageEvent} */ event) => {
    heardAt = Date.now();
    const isPing = options.heartbeat && typeof event.data === "string" && PING.test(event.data);
    if (isPing) link.send("pong");
    else owner.onmessage(event);
  };
  const listen = (/** @type {NonNullable<Link["socket"]>} */ socket) => {
    let failure = {};
    socket.onopen = opened;
    socket.onmessage = received;
    socket.onerror = () => (failure = { error: undefined });
    socket.onclose = ({ code, reason, wasClean }) => finish({ code, reason, wasClean, ...failure });
  };

  /** @type {Link} */
  const link = {
    socket: null,
    openedAt: Infinity,
    hasEnded: false,
    isOpen: () => !link.hasEnded && link.socket?.readyState === OPEN,
    async connect() {
      try {
        const token = await options.getToken();
        if (link.hasEnded) return;
        const url = new URL(options.url);
        if (token) url.searchParams.set(options.tokenParam, token);
        if (options.heartbeat) url.searchParams.set("heartbeat", "1");
        listen((link.socket = options.makeSocket(url, options.protocols)));
      } catch (error) {
        abandon(`could not connect: ${error}`, error);
      }
    },
    send(data) {
      if (link.isOpen()) link.socket?.send(data);
      return link.isOpen();
    },
    close(code, reason) {
      const end = { code: 1006, reason: "", wasClean: false };
      if (link.hasEnded) queueMicrotask(() => owner.onend(end));
      else if (!link.socket) finish(end);
      else link.socket.close(reason === undefined ? code : (code ?? 1000), reason);
    },
    drop: (code, reason) => finish({ code, reason, wasClean: true }),
    checkSilence() {
      const { watchdog } = options;
      if (!link.isOpen() || !watchdog) return;
      clearTimeout(timer);
      const left = heardAt + watchdog - Date.now();
      if (left <= 0) abandon("silent for too long");
      else timer = setTimeout(link.checkSilence, left);
    },
  };
  /** Limits the attempt, later watches for silence. */
  let timer = setTimeout(() => abandon("no connection in time"), options.connectTimeout);
  return link;
}
