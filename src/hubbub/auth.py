"""Tokens and one-time tickets: who a client is, told by something it shows.

The rules are those of RFC 8725 (JSON Web Token best practices): algorithms are fixed by the server and all
of one family, `exp` and `sub` are required, keys have their full length, and a token's size is checked before
it is looked at. Nothing in a token is believed before its signature is.

PyJWT is imported by what makes or checks tokens, not with the module: with the cryptography under it that
takes a quarter of the time in which `hubbub` is imported, and many applications have no tokens.
"""

import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from hubbub.core.errors import ConfigurationError, Unauthorized
from hubbub.core.users import User

MAX_TOKEN_BYTES = 8_192
MAX_USER_ID_BYTES = 255
MIN_SECRET_BYTES = 32
"""RFC 7518 section 3.2 for HS256: a key at least as long as the hash."""

_FAMILIES: Final = {"HS": "HMAC", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "EdDSA"}


class Verifier(Protocol):
    """Anything that knows the user behind a token."""

    def verify(self, token: str) -> User:
        """The user. Raises `Unauthorized`."""
        ...


class Tokens:
    """Makes and checks JSON Web Tokens (RFC 7519).

    Args:
        key: the secret, of at least 32 bytes, or a public key in PEM form. Several for rotation: the first
            signs, all verify.
        algorithms: the accepted ones, all of one family; a token's own header is never asked.
        audience: the `aud` that is required; without it a token that has one is refused.
        issuer: the `iss` that is required.
        leeway: seconds that clocks may differ, 60 at most.

    Raises:
        ConfigurationError: if a secret is too short, a key is none for an algorithm, or the algorithms do
            not fit together.
    """

    __slots__ = ("_algorithms", "_audience", "_issuer", "_jwt", "_keys", "_leeway")

    def __init__(
        self,
        key: str | bytes | Sequence[str | bytes],
        *,
        algorithms: Sequence[str] = ("HS256",),
        audience: str | None = None,
        issuer: str | None = None,
        leeway: float = 30.0,
    ) -> None:
        import jwt

        self._keys = [key] if isinstance(key, str | bytes) else list(key)
        self._algorithms = list(algorithms)
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._jwt = jwt.PyJWT(options={"enforce_minimum_key_length": True})
        families = {_FAMILIES.get(name[:2]) for name in algorithms}
        if len(families) != 1 or None in families:
            raise ConfigurationError("algorithms must be known and of one family, like ['HS256']")
        if not self._keys or not 0 <= leeway <= 60:
            raise ConfigurationError("Tokens needs a key, and a leeway of 0 to 60 seconds")
        for one in self._keys:
            if families == {"HMAC"}:
                check_secret(one)
            for name in self._algorithms:
                _check_key(name, one)

    def issue(self, user: str, *, ttl: float = 3_600.0, claims: Mapping[str, object] | None = None) -> str:
        """A token for the user that is valid for `ttl` seconds. Only with a secret, not with a public key."""
        if not self._algorithms[0].startswith("HS"):
            raise ConfigurationError("A public key can verify tokens, not issue them")
        now = time.time()
        payload: dict[str, object] = {**(claims or {}), "sub": user, "iat": int(now), "exp": int(now + ttl)}
        if self._audience is not None:
            payload.setdefault("aud", self._audience)
        if self._issuer is not None:
            payload.setdefault("iss", self._issuer)
        return self._jwt.encode(payload, self._keys[0], self._algorithms[0])

    def verify(self, token: str) -> User:
        """The user of a valid token; `expires_at` includes the leeway.

        Raises:
            Unauthorized: for any other token. `detail` says why, for the log alone.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise Unauthorized("token too long")
        detail = ""
        for key in self._keys:
            try:
                claims: dict[str, object] = self._jwt.decode(
                    token,
                    key,
                    algorithms=self._algorithms,
                    audience=self._audience,
                    issuer=self._issuer,
                    leeway=self._leeway,
                    options={"require": ["exp", "sub"]},
                )
                return _user(claims, self._leeway)
            except _defects() as error:
                detail = detail or type(error).__name__
        raise Unauthorized(detail)


class Tickets:
    """One-time tickets for URLs: they may end up in a log, and are worth nothing there.

    Args:
        secret: at least 32 bytes; may be the one of `Tokens`, from which another key is derived.
        claim: `Hub.claim`, which says who was first, on all nodes.
        ttl: seconds until a ticket has to be used.

    Raises:
        ConfigurationError: if the secret is too short.
    """

    __slots__ = ("_claim", "_key", "_ttl")

    def __init__(
        self, secret: str | bytes, claim: Callable[[str, float], Awaitable[bool]], *, ttl: float = 60.0
    ) -> None:
        check_secret(secret)
        self._key = hmac.digest(_bytes(secret), b"hubbub one-time ticket", "sha256")
        self._claim = claim
        self._ttl = ttl

    def issue(self, user: User, origin: str | None = None) -> str:
        """A ticket for the user; with an origin it works only for pages from there.

        Raises:
            ValueError: if the user's claims are too large for a ticket of 8 KiB.
        """
        import jwt

        now = time.time()
        until = now + self._ttl if user.expires_at is None else min(now + self._ttl, user.expires_at)
        payload = {
            "sub": user.id,
            "exp": until,
            "jti": secrets.token_urlsafe(16),
            "claims": dict(user.claims),
            "until": user.expires_at,
            "origin": origin,
        }
        ticket = jwt.encode(payload, self._key, "HS256")
        if len(ticket) > MAX_TOKEN_BYTES:
            raise ValueError("The user's claims are too large for a ticket")
        return ticket

    async def redeem(self, ticket: str, origin: str | None = None) -> User:
        """The user a ticket was made for, the first time.

        Raises:
            Unauthorized: the second time, after its time, from another origin, or for anything else.
        """
        import jwt

        if len(ticket) > MAX_TOKEN_BYTES:
            raise Unauthorized("ticket too long")
        try:
            payload = jwt.decode(
                ticket, self._key, algorithms=["HS256"], options={"require": ["exp", "sub", "jti"]}
            )
        except _defects() as error:
            raise Unauthorized(f"ticket: {type(error).__name__}") from error
        if payload["origin"] not in (None, origin):
            raise Unauthorized("ticket of another origin")
        if not await self._claim(f"ticket:{payload['jti']}", self._ttl):
            raise Unauthorized("ticket was used before")
        return User(payload["sub"], payload["claims"], payload["until"])


def check_secret(secret: str | bytes) -> None:
    """Raises `ConfigurationError` if the secret is shorter than 32 bytes."""
    if len(_bytes(secret)) < MIN_SECRET_BYTES:
        raise ConfigurationError(
            f"A secret needs at least {MIN_SECRET_BYTES} bytes: `openssl rand -base64 32`"
        )


def _defects() -> tuple[type[Exception], ...]:
    """What PyJWT raises for a token that is not good."""
    import jwt

    return (jwt.PyJWTError, ValueError, OverflowError, RecursionError, TypeError)


def _check_key(algorithm: str, key: str | bytes) -> None:
    """Raises `ConfigurationError` for a key with which every token would be refused."""
    import jwt

    try:
        known = jwt.get_algorithm_by_name(algorithm)
        defect = known.check_key_length(known.prepare_key(key))
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError) as error:
        raise ConfigurationError(f"This is no key for {algorithm}: {error}") from error
    if defect is not None:
        raise ConfigurationError(defect)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _user(claims: dict[str, object], leeway: float) -> User:
    user, expires = claims["sub"], claims["exp"]
    if not isinstance(user, str) or not 0 < len(user.encode()) <= MAX_USER_ID_BYTES:
        raise ValueError("sub")
    if not isinstance(expires, int | float):
        raise TypeError("exp")
    rest = {name: value for name, value in claims.items() if name not in ("sub", "exp")}
    return User(user, rest, float(expires) + leeway)
