/** The Centrifuge protocol without WebSockets: server-sent events one way, POST requests the other way. */

/** @import { Socket } from "./types.d.ts" */

const [OPEN, CLOSED] = [1, 3];

/** Has the part of a WebSocket's interface that a link uses. It takes messages from the beginning: the first
 * one is the connect command, which opens the stream.
 *  @param {URL} url of the WebSocket endpoint; `sse` is beside it, `emulation` a level above
 *  @returns {Socket} */
export function eventStream(url) {
  /** @type {EventSource | undefined} */
  let source;
  /** Names this connection to the server, on whatever node a request arrives. */
  let session = {};
  /** The requests, one after another. */
  let posts = Promise.resolve();
  const fail = () => stream.close(1006);

  const open = (/** @type {string} */ command) => {
    const address = new URL("sse", url);
    address.searchParams.set("cf_connect", command);
    source = new EventSource(address);
    source.onerror = fail;
    source.onmessage = (event) => {
      const { session: name, node } = JSON.parse(event.data.split("\n")[0]).connect ?? {};
      if (name) session = { session: name, node };
      stream.onmessage?.(event);
    };
  };
  const post = async (/** @type {unknown} */ data) => {
    if (stream.readyState === CLOSED) return;
    const body = JSON.stringify({ ...session, data });
    const answer = await fetch(new URL("../emulation", url), { method: "POST", body });
    if (!answer.ok) fail();
  };
  /** @type {Socket} */
  const stream = {
    readyState: OPEN,
    send: (data) => source ? void (posts = posts.then(() => post(data)).catch(fail)) : open(String(data)),
    close(code = 1000, reason = "") {
      if (stream.readyState === CLOSED) return;
      stream.readyState = CLOSED;
      source?.close();
      queueMicrotask(() => stream.onclose?.({ code, reason, wasClean: code === 1000 }));
    },
  };
  url.protocol = url.protocol.replace("ws", "http");
  queueMicrotask(() => stream.onopen?.());
  return stream;
}
