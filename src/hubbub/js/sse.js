/** The Centrifuge protocol without WebSockets: server-sent events one way, POST requests the other way. */

import { ABNORMAL, CLOSED, NORMAL, OPEN } from "./codes.js";

/** @import { Socket } from "./types.d.ts" */

/** Has the part of a WebSocket's interface that a link uses. It takes messages from the beginning: the first
 * one is the connect command, which opens the stream.
 *  @param {URL} url of the WebSocket endpoint; `sse` is beside it, `emulation` a level above
 *  @returns {Socket} */
export function eventStream(url) {
  /** @type {EventSource | undefined} */
  let source;
  /** @type {{ session?: string, node?: string }} Its name, on whatever node a request arrives. */
  let session = {};
  /** The requests, one after another. */
  let posts = Promise.resolve();
  const fail = () => stream.close(ABNORMAL);

  const post = async (/** @type {unknown} */ data) => {
    if (stream.readyState === CLOSED) return;
    const body = JSON.stringify({ ...session, data });
    const answer = await fetch(new URL("../emulation", url), { method: "POST", body });
    if (!answer.ok) fail();
  };
  /** @type {Socket} */
  const stream = {
    readyState: OPEN,
    send(data) {
      if (source) return void (posts = posts.then(() => post(data)).catch(fail));
      source = new EventSource(new URL(`sse?cf_connect=${encodeURIComponent(String(data))}`, url));
      source.onerror = fail;
      source.onmessage = (event) => {
        const { session: name, node } = JSON.parse(event.data.split("\n")[0]).connect ?? session;
        session = { session: name, node };
        stream.onmessage?.(event);
      };
    },
    close(code = NORMAL, reason = "") {
      if (stream.readyState === CLOSED) return;
      stream.readyState = CLOSED;
      source?.close();
      queueMicrotask(() => stream.onclose?.({ code, reason, wasClean: code === NORMAL }));
    },
  };
  url.protocol = url.protocol.replace("ws", "http");
  queueMicrotask(() => stream.onopen?.());
  return stream;
}
