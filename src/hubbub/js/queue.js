/** What waits for a connection: a queue with bounds, and the sizes it counts. */

/** @import { SendQueue } from "./types.d.ts" */

/** @param {string} message @param {string} [name] of the DOMException @returns {never} */
export function refuse(message, name = "SyntaxError") { throw new DOMException(message, name); }

/** Bytes, as `bufferedAmount` counts them. @param {string | Blob} data */
export function sizeOf(data) {
  return typeof data === "string" ? new TextEncoder().encode(data).length : data.size;
}

/** Items that wait, oldest first. An empty one has no bytes but takes room, so their number is bounded, too.
 *  @template Item @param {number} most bytes @param {number} [mostItems] @returns {SendQueue<Item>} */
export function sendQueue(most, mostItems = most) {
  /** @type {[Item, number][]} Each with its size. */
  let waiting = [];
  /** @type {SendQueue<Item>} */
  const queue = {
    bytes: 0,
    push(item, size) {
      const isFull = queue.bytes + size > most || waiting.length >= mostItems;
      if (isFull) refuse("Queue full", "QuotaExceededError");
      waiting.push([item, size]);
      queue.bytes += size;
    },
    drain(take) {
      waiting = waiting.filter(([item, size]) => !take(item) || void (queue.bytes -= size));
    },
  };
  return queue;
}
