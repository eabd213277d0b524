"""What the results of a backend mean. Whatever a function here raises says that they mean nothing."""

from dataclasses import dataclass, replace
from typing import Final

import msgspec

from hubbub.core.messages import Payload
from hubbub.core.users import User
from hubbub.gateway.api.payloads import read_payload
from hubbub.gateway.claims import read_identity, read_subscription, read_value
from hubbub.gateway.handlers import Draft, Grant, Identity
from hubbub.server.hooks.wire import PublishResult, RpcResult, Said


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who a client is."""

    identity: Identity
    meta: msgspec.Raw | None = None
    """Goes along with later questions about it; no client is told."""


@dataclass(frozen=True, slots=True)
class Words:
    """A result about a session or a subscription."""

    grant: Grant
    """Its fields info, data, expire_at and override."""

    expired: bool = False
    meta: msgspec.Raw | None = None


def _meta(said: Said) -> msgspec.Raw | None:
    meta = said.get("meta")
    return None if meta is None else msgspec.Raw(msgspec.json.encode(meta))


def read_newcomer(said: Said) -> Newcomer:
    """Who a client is. Raises `Unauthorized` for what is malformed."""
    claims = {name: value for name, value in said.items() if name in _CLAIMS and value is not None}
    user = said.get("user")
    identity = read_identity({**claims, "sub": "" if user is None else user}, anonymous=True)
    if identity.user is not None:
        identity = replace(identity, user=User(identity.user.id, expires_at=identity.user.expires_at))
    data = read_value(said.get("data"), said.get("b64data"))
    return Newcomer(replace(identity, data=data), _meta(said))


_CLAIMS: Final = frozenset({"expire_at", "info", "b64info", "channels", "subs"})
"""What an answer says in the words of a token."""


def read_words(said: Said) -> Words:
    """What is said of a session or a subscription. Raises `Unauthorized` for what is malformed."""
    named = {name: value for name, value in said.items() if name in _WORDS and value is not None}
    return Words(read_subscription(named), bool(said.get("expired")), _meta(said))


_WORDS: Final = frozenset({"expire_at", "info", "b64info", "data", "b64data", "override"})


def read_draft(data: Payload, result: PublishResult) -> Draft | None:
    """What is published in place of the data; None where it has to have a version, which there is not here.

    Raises:
        CommandFailed, InvalidMessage: for what is malformed.
    """
    if result.version:
        return None
    changed = None if bytes(result.data) == b"null" else read_payload(result.data, result.b64data or "")
    return Draft(
        data if changed is None else changed,
        result.tags or None,
        result.idempotency_key or None,
        kept=not result.skip_history,
    )


def read_returned(result: RpcResult) -> Payload | None:
    """What a method returned. Raises as above."""
    return read_payload(result.data, result.b64data or "")
