/** What waits for a connection: a queue with bounds, and the sizes it counts. */

/** @import { Sendable, SendQueue } from "./types.d.ts" */

/** @param {string} name of a DOMException @param {string} message @returns {never} */
export function refuse(name, message) { throw new DOMException(message, name); }

/** Bytes, as `bufferedAmount` counts them. @param {Sendable} data */
export function sizeOf(data) {
  if (typeof data === "string") return new TextEncoder().encode(data).length;
  return data instanceof Blob ? data.size : data.byteLength;
}

/** Items that wait, oldest first. An empty one has no bytes but takes room, so their number is bounded, too.
 *  @template Item @param {number} most bytes @param {number} [mostItems] @returns {SendQueue<Item>} */
export function sendQueue(most, mostItems = most) {
  /** @type {{ item: Item, size: number }[]} */
  let waiting = [];
  const queue = {
    bytes: 0,
    push(/** @type {Item} */ item, /** @type {number} */ size) {
      const isFull = queue.bytes + size > most || waiting.length >= mostItems;
      if (isFull) refuse("QuotaExceededError", `More than ${most} bytes would wait`);
      waiting.push({ item, size });
      queue.bytes += size;
    },
    drain(/** @type {(item: Item) => unknown} */ take) {
      waiting = waiting.filter(({ item, size }) => {
        const isTaken = take(item);
        if (isTaken) queue.bytes -= size;
        return !isTaken;
      });
    },
  };
  return queue;
}
