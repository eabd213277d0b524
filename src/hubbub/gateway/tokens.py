"""JSON Web Tokens of connections and subscriptions: is this one genuine, and what does it claim?

The rules are those of `hubbub.auth`, after RFC 8725: the server fixes the algorithms, nothing in a token is
believed before its signature is, and the key id in its header is compared and never followed.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hubbub.auth import MAX_TOKEN_BYTES, Tokens
from hubbub.core.errors import ConfigurationError, Unauthorized
from hubbub.gateway.jwks import JwkSets
from hubbub.gateway.later import Maybe

if TYPE_CHECKING:
    import jwt

Claims: TypeAlias = Mapping[str, object]

_PUBLIC: Final = ("RS", "PS", "ES", "Ed")


class TokenExpired(Unauthorized):
    """A genuine token after its end, or before it begins: the client may fetch another (109)."""


class TokenVerifier:
    """Checks tokens of one issuer.

    Args:
        key: the secret, of at least 32 bytes, or a public key in PEM form; several for rotation.
        jwks: addresses of key sets, in place of `key`; `JwkSets` says which are possible.
        algorithms: the accepted ones, all of one family: HS, RS, PS, ES or Ed.
        audience: the `aud` that is required; without it a token that has one is refused.
        issuer: the `iss` that is required.
        leeway: seconds that clocks may differ, 60 at most.
        endless: take tokens without `exp`, which are good until the key changes.

    Raises:
        ConfigurationError: if these do not fit together, as for `hubbub.auth.Tokens`.
    """

    __slots__ = ("_algorithms", "_audience", "_issuer", "_jwt", "_keys", "_required", "_sets", "leeway")

    def __init__(
        self,
        key: str | bytes | Sequence[str | bytes] | None = None,
        *,
        jwks: Sequence[str] = (),
        algorithms: Sequence[str] = ("HS256",),
        audience: str | None = None,
        issuer: str | None = None,
        leeway: float = 30.0,
        endless: bool = False,
    ) -> None:
        import jwt

        if (key is None) is not bool(jwks):
            raise ConfigurationError("Tokens are checked with a key, or with the keys at some addresses")
        if key is not None:
            Tokens(key, algorithms=algorithms, leeway=leeway)  # refuses what cannot work
        elif not 0 <= leeway <= 60 or len({name[:2] for name in algorithms} & set(_PUBLIC)) != 1:
            raise ConfigurationError(
                "Key sets need algorithms like ['RS256'], and a leeway of 0 to 60 seconds"
            )
        self._keys = [key] if isinstance(key, str | bytes) else list(key or ())
        self._sets = JwkSets(jwks) if jwks else None
        self._algorithms = list(algorithms)
        self._audience = audience
        self._issuer = issuer
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})
        self._required = ["sub"] if endless else ["exp", "sub"]
        self.leeway = leeway

    def claims(self, token: str) -> Maybe[Claims]:
        """What a genuine token claims. It has to be waited for where keys have to be fetched.

        Raises:
            TokenExpired: for one that is genuine, but not good any more, or not yet.
            Unauthorized: for any other token. `detail` says why, for the log alone.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("token too long")
        if self._sets is None:
            return self._decode(token, self._keys)
        kid = _key_id(token)
        known = self._sets.known(kid)
        return self._after(token, self._sets.find(kid)) if known is None else self._decode(token, known)

    async def _after(self, token: str, keys: "Awaitable[Sequence[jwt.PyJWK]]") -> Claims:
        return self._decode(token, await keys)

    def _decode(self, token: str, keys: Sequence[Any]) -> Claims:
        import jwt

        detail = "" if keys else "unknown key"
        for key in keys:
            try:
                claims: Claims = self._jwt.decode(
                    token,
                    key.key if isinstance(key, jwt.PyJWK) else key,
                    algorithms=self._algorithms,
                    audience=self._audience,
                    issuer=self._issuer,
                    leeway=self.leeway,
                    options={"require": self._required},
                )
            except jwt.ExpiredSignatureError:
                raise TokenExpired("expired") from None
            except jwt.ImmatureSignatureError:
                raise TokenExpired("not good yet") from None
            except _defects() as error:
                detail = detail or type(error).__name__
            else:
                return claims
        raise Unauthorized(detail)


def _key_id(token: str) -> str | None:
    """The key that a token says it is signed with: good for a comparison and nothing else."""
    import jwt

    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except _defects() as error:
        raise Unauthorized(type(error).__name__) from None
    if kid is not None and not isinstance(kid, str):
        raise Unauthorized("kid")
    return kid


def _defects() -> tuple[type[Exception], ...]:
    """What PyJWT raises for a token that is not good."""
    import jwt

    return (jwt.PyJWTError, ValueError, OverflowError, RecursionError, TypeError)
