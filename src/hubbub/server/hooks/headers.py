"""The headers of a question: those that are always the same, and those of the client that are asked for."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hubbub.asgi.events import Scope
from hubbub.core.errors import ConfigurationError

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")  # no control characters (RFC 9110 section 5.5)

_OURS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host"),
        *("keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
"""Of the one connection, or of the question itself: no client has a say in them."""


class HookHeaders:
    """Puts the headers of questions together.

    Args:
        static: each ``Name:value``, in every question.
        passed: names of headers of the handshake.
        client: names of headers in the client's connect message. Nobody but the client vouches for them.

    Raises:
        ConfigurationError: for a name that cannot be, or one that a client could say in place of ours.
    """

    __slots__ = ("_client", "_passed", "_static")

    def __init__(self, static: Sequence[str], passed: Sequence[str], client: Sequence[str]) -> None:
        self._static = static_headers(static, (*passed, *client))
        self._passed = {_name(one).encode(): _name(one) for one in passed}
        self._client = {_name(one) for one in client}

    def chosen(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Those of a client's connect message that are passed on, by their name in small letters."""
        if not self._client or not headers:
            return {}
        small = {name.lower(): value for name, value in headers.items()}
        return {name: small[name] for name in self._client & set(small) if _VALUE.fullmatch(small[name])}

    def of(self, scope: Scope, chosen: Mapping[str, str]) -> list[tuple[str, str]]:
        """All headers of a question; what the handshake says counts more than the connect message.

        Args:
            scope: of the handshake.
            chosen: what `chosen` gave for this client.
        """
        found = list(self._handshake(scope["headers"])) if self._passed else []
        said = {name for name, _ in found}
        found += [(name, value) for name, value in chosen.items() if name not in said]
        return [*self._static.items(), *found]

    def _handshake(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[str, str]]:
        for raw, value in headers:
            name = self._passed.get(raw.lower())
            if name is not None:
                yield name, value.decode(errors="replace")


def static_headers(static: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """Headers that are written ``Name:value``, by their name in small letters.

    Args:
        static: the headers.
        others: names of those that clients say. A static one among them could be put in its place.

    Raises:
        ConfigurationError: for one that cannot be, or is among the others.
    """
    headers = dict(_pair(one) for one in static)
    taken = set(headers) & {one.strip().lower() for one in others}
    if taken:
        raise ConfigurationError(f"a client could say {min(taken)} in its place")
    return headers


def _pair(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _VALUE.fullmatch(value):
        raise ConfigurationError("A static header of hooks is written Name:value")
    return _name(name), value.strip()


def _name(text: str) -> str:
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{text!r} cannot be a header's name")
    if name in _OURS:
        raise ConfigurationError(f"{name} is not passed on: it belongs to one connection, or to the question")
    return name
