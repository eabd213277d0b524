/** Numbers that have a meaning: states of a socket, its close codes, and the codes of the protocol. */

/** `readyState` (WHATWG WebSockets, section 3.1). */
export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSING = 2;
export const CLOSED = 3;

/** Close codes: the end as it was meant, a page that is left, a broken link, a refusal; then another attempt,
 * later or at once. */
export const NORMAL = 1000;
export const AWAY = 1001;
export const ABNORMAL = 1006;
export const POLICY = 1008;
export const LATER = 1013;
export const AT_ONCE = 4401;
/** The connection's token had no successor in time. */
export const EXPIRED = 3005;

/** Put out of a room: below the second the client stays out, and the third wants a new token. */
export const PUT_OUT = 2000;
export const RESUBSCRIBE = 2500;
export const ROOM_EXPIRED = 2501;

/** Refusals: from the first on the server has refused it, below the call has failed here. */
export const REFUSED = 100;
export const TOKEN_EXPIRED = 109;
