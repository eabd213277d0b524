/**
 * Hubbub's browser client.
 *
 *     import { Hub, ReconnectingWebSocket } from "/hubbub.js";
 *
 * `Hub` speaks the Centrifuge protocol: rooms that recover what they missed, presence, history, calls.
 * `ReconnectingWebSocket` is a plain WebSocket that comes back by itself. No build step, no dependency.
 */

export { Hub } from "./hub.js";
export { ReconnectingWebSocket } from "./reconnecting.js";
export { Room } from "./room.js";
