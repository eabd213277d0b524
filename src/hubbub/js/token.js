/** Tokens of connections and subscriptions: fetched when needed, kept while good, renewed in time. */

/** @import { RenewedToken, Token } from "./types.d.ts" */

const LONGEST_TIMEOUT = 2 ** 31 - 1;
const RETRY = 5;

/** One token, and how to get the next.
 *  @param {(() => Token | Promise<Token>) | undefined} fetch @param {Token} value the first one
 *  @param {(token: Token) => void} renew takes another one to the server
 *  @param {(error: unknown) => void} fail hears of what `fetch` throws @returns {RenewedToken} */
export function renewedToken(fetch, value, renew, fail) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {RenewedToken} */
  const token = {
    value: () => value || undefined,
    isMissing: () => !!fetch && !value,
    get: async () => void (value ||= await fetch?.()),
    drop: () => !!fetch && !(value = null),
    keep({ expires, ttl = 0 } = {}) {
      clearTimeout(timer);
      timer = undefined;
      if (!expires || !fetch) return;
      const mine = (timer = setTimeout(async () => {
        token.drop();
        try {
          await token.get();
          if (mine === timer) renew(value);
        } catch (error) {
          if (mine === timer) token.keep({ expires, ttl: RETRY });
          fail(error);
        }
      }, Math.min(ttl * 900, LONGEST_TIMEOUT)));
    },
  };
  return token;
}
