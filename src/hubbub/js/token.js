/** Tokens of connections and subscriptions: fetched when needed, kept while good, renewed in time. */

/** @import { RenewedToken, Token } from "./types.d.ts" */

/** A timer takes 2 ** 31 ms at most. */
const LONGEST = 2e9;
const RETRY = 5;

/** One token, and how to get the next.
 *  @param {(() => Token | Promise<Token>) | undefined} fetch
 *  @param {(token: Token, keep: RenewedToken["keep"]) => void} renew takes another one to the server
 *  @param {(error: unknown) => void} fail hears of what `fetch` throws
 *  @param {Token} [value] the first one @returns {RenewedToken} */
export function renewedToken(fetch, renew, fail, value) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {RenewedToken} */
  const token = {
    value: () => value || undefined,
    isMissing: () => fetch && !value,
    get: async () => void (value ||= await fetch?.()),
    drop: () => fetch && !(value = null),
    keep({ expires, ttl = 0 } = {}) {
      clearTimeout(timer);
      timer = undefined;
      if (!expires || !fetch) return;
      const mine = (timer = setTimeout(async () => {
        token.drop();
        try {
          await token.get();
          if (mine === timer && value) renew(value, token.keep);
        } catch (error) {
          if (mine === timer) token.keep({ expires, ttl: RETRY });
          fail(error);
        }
      }, Math.min(ttl * 900, LONGEST)));
    },
  };
  return token;
}
