"""What the claims of a token mean: Centrifugo's conventions for connections and subscriptions.

They are described on the pages "Client JWT authentication" and "Channel JWT authorization" of its
documentation. Tokens are verified before they come here.
"""

import base64
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

import msgspec

from hubbub.auth import MAX_USER_ID_BYTES
from hubbub.core.errors import Refused, Unauthorized
from hubbub.core.messages import Json, Payload
from hubbub.core.users import User
from hubbub.gateway.handlers import Grant, Identity, TokenMark
from hubbub.gateway.tokens import Claims

MAX_TTL: Final = 10 * 365 * 86_400.0
"""Seconds: what ends later does not end."""

SHORTEST_TTL: Final = 1.0
"""Seconds left to a token that is past its end by less than the leeway."""

T = TypeVar("T")
_Time = int | float | None


class _Flag(msgspec.Struct):
    value: bool = False


class _Channel(msgspec.Struct):
    """One entry of `subs`."""

    info: Any = None
    b64info: str | None = None
    data: Any = None
    b64data: str | None = None
    override: Mapping[str, _Flag | None] | None = None


class _Connection(msgspec.Struct):
    sub: str
    exp: _Time = None
    expire_at: _Time = None
    info: Any = None
    b64info: str | None = None
    channels: list[str] | None = None
    subs: Mapping[str, _Channel | None] | None = None
    channel: Any = None
    jti: str | None = None
    iat: _Time = None


class _Subscription(_Channel):
    sub: str = ""
    channel: str = ""
    client: str | None = None
    exp: _Time = None
    expire_at: _Time = None
    jti: str | None = None
    iat: _Time = None


def read_identity(claims: Claims, *, anonymous: bool) -> Identity:
    """The client of a connection token.

    Args:
        claims: of the token.
        anonymous: an empty `sub` is let in.

    Raises:
        Unauthorized: if a claim is malformed, or the token is one for a subscription.
    """
    said = _convert(claims, _Connection)
    if said.channel is not None:
        raise Unauthorized("a token for a subscription")
    if len(said.sub.encode()) > MAX_USER_ID_BYTES or not (said.sub or anonymous):
        raise Unauthorized("sub")
    ends = _ends(said.exp, said.expire_at)
    rest = {name: value for name, value in claims.items() if name not in ("sub", "exp")}
    rooms = {name: Grant(by_token=True) for name in said.channels or ()}
    rooms |= {name: _grant(channel or _Channel()) for name, channel in (said.subs or {}).items()}
    return Identity(
        User(said.sub, rest, ends) if said.sub else None,
        read_value(said.info, said.b64info),
        _ttl(ends, said.expire_at is None),
        client_refresh=ends is not None,
        rooms=rooms,
        token=_mark(said.jti, said.iat),
    )


def read_grant(claims: Claims, *, user: str, client: str, room: str) -> Grant:
    """The subscription of a subscription token.

    Args:
        claims: of the token.
        user: who shows it; empty for nobody.
        client: the id of the connection that shows it.
        room: for which it is shown.

    Raises:
        Refused: if it is somebody else's, for another room, or malformed.
    """
    try:
        said = _convert(claims, _Subscription)
    except Unauthorized as error:
        raise Refused("A malformed token") from error
    if said.sub != user or said.channel != room or said.client not in (None, "", client):
        raise Refused("A token for something else")
    ends = _ends(said.exp, said.expire_at)
    grant = _grant(said, _ttl(ends, said.expire_at is None))
    return replace(grant, token=_mark(said.jti, said.iat))


def read_subscription(said: Mapping[str, object]) -> Grant:
    """A subscription that no token allows but somebody who speaks like one: info, data, expire_at, override.

    Raises:
        Unauthorized: if something of it is malformed.
    """
    channel = _convert(said, _Subscription)
    return _grant(channel, _ttl(_ends(None, channel.expire_at), within_leeway=False))


def _grant(said: _Channel, ttl: float | None = None) -> Grant:
    return Grant(
        read_value(said.info, said.b64info),
        read_value(said.data, said.b64data),
        ttl,
        client_refresh=ttl is not None,
        by_token=True,
        options={name: flag.value for name, flag in (said.override or {}).items() if flag is not None},
    )


def _mark(jti: str | None, iat: _Time) -> TokenMark:
    return TokenMark(jti or "", None if iat is None else float(iat))


def _convert(claims: Claims, kind: type[T]) -> T:
    try:
        return msgspec.convert(claims, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Unauthorized("malformed claims") from error


def _ends(exp: _Time, expire_at: _Time) -> float | None:
    """When it ends, in seconds since the Unix epoch: `expire_at` counts, where 0 stands for never."""
    if expire_at is not None:
        return float(expire_at) if expire_at else None
    return None if exp is None else float(exp)


def _ttl(ends: float | None, within_leeway: bool) -> float | None:
    """Seconds until then; never none at all for a token that was just found good."""
    if ends is None:
        return None
    left = ends - time.time()
    if not left < MAX_TTL:  # NaN, too
        return None
    return max(left, SHORTEST_TTL) if within_leeway else left


def read_value(value: Any, encoded: str | None) -> Payload | None:
    """A claim that may be written as JSON or in base64 (RFC 4648 section 4). Raises `Unauthorized`."""
    if encoded:
        try:
            return base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise Unauthorized("malformed base64") from error
    return None if value is None else Json(msgspec.json.encode(value).decode())
