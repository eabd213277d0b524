"""A connection's messages, noted as they come and go.

Whoever is not looked into pays nothing: while it is, a connection is one of another class and has a codec of
its own, so that its rooms write to it apart from their other members.
"""

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from hubbub.connection import Connection
from hubbub.core.errors import Disconnected
from hubbub.core.messages import Payload, Publication, payload_bytes
from hubbub.core.outbox import Codec, Outgoing, Overflow, encode_each, size_of

MAX_TEXT: Final = 1_024
"""Characters of a text that are shown."""

MAX_BYTES: Final = 256
"""Bytes of a binary message that are shown."""

MAX_FRAMES: Final = 50
"""Messages noted between two collections; what is more is only counted."""

_TOKEN: Final = re.compile(r'("(?:token|ticket|key)"\s*:\s*")[^"]*')
_JWT: Final = re.compile(rb"eyJ[\w-]*\.[\w-]*\.[\w-]*")


class Frame(msgspec.Struct, frozen=True):
    """One message."""

    at: float
    """Seconds since the Unix epoch."""

    incoming: bool
    kind: str
    """``text`` or ``binary``."""

    text: str
    """The beginning of it; of a binary one in hexadecimal digits. Tokens are left out."""

    size: int
    """Bytes of all of it."""

    cut: bool
    room: str | None = None
    """The room that it was published in."""


class Tap:
    """Notes the messages of one connection.

    Args:
        connection: open, and not looked into yet.
        regroup: has its rooms look at its codec again.
    """

    def __init__(self, connection: Connection, regroup: Callable[[Connection], None]) -> None:
        self.connection = connection
        self.ended = False
        self._regroup = regroup
        self._frames: list[Frame] = []
        self._omitted = 0
        connection.__class__ = _tapped(self, TapCodec(connection, self))
        regroup(connection)

    def remove(self) -> None:
        """Note nothing any more."""
        self.connection.__class__ = Connection
        self._regroup(self.connection)

    def note(self, payload: Payload, *, incoming: bool, room: str | None = None) -> None:
        """A message comes or goes."""
        if len(self._frames) >= MAX_FRAMES:
            self._omitted += 1
            return
        if isinstance(payload, bytes):
            kind, text, cut = (
                "binary",
                _JWT.sub(b"...", payload)[:MAX_BYTES].hex(" "),
                len(payload) > MAX_BYTES,
            )
        else:
            kind, text, cut = "text", _TOKEN.sub(r"\1...", payload)[:MAX_TEXT], len(payload) > MAX_TEXT
        self._frames.append(Frame(time.time(), incoming, kind, text, payload_bytes(payload), cut, room))

    def take(self) -> tuple[list[Frame], int]:
        """What was noted since the last call, and how many messages were only counted."""
        frames, omitted = self._frames, self._omitted
        self._frames, self._omitted = [], 0
        return frames, omitted


class TapCodec:
    """The codec of one connection, which notes what it encodes: nobody else is written to with it.

    Args:
        connection: whose transport's codec does the work.
        tap: notes.
    """

    __slots__ = ("_connection", "_tap")

    def __init__(self, connection: Connection, tap: Tap) -> None:
        self._connection = connection
        self._tap = tap

    @property
    def _codec(self) -> Codec:
        return self._connection.transport.codec

    def encode(
        self,
        payload: Payload,
        *,
        room: str | None = None,
        key: str | None = None,
        overflow: Overflow = Overflow.DISCONNECT,
    ) -> Outgoing[Any]:
        """Note, and encode as the transport wants it."""
        self._tap.note(payload, incoming=False, room=room)
        return self._codec.encode(payload, room=room, key=key, overflow=overflow)

    def join(self, items: list[Outgoing[Any]]) -> Any:
        """What the transport's `write` takes."""
        return self._codec.join(items)

    def encode_all(
        self, publications: list[Publication], payloads: list[Payload], overflow: Overflow
    ) -> list[Outgoing[Any]]:
        """Note, and encode each."""
        return encode_each(self, publications, payloads, overflow)

    def line_up(self, handles: Collection[Any]) -> list[Any]:
        """Each handle is the `write` of a transport."""
        return list(handles)

    def size(self, items: list[Outgoing[Any]]) -> int:
        """The bytes of what the transport's codec made."""
        return size_of(items)

    def deliver(self, line: list[Any], items: list[Outgoing[Any]]) -> Mapping[Any, Any]:
        """Write to the one member; a transport takes everything."""
        batch = self.join(items)
        for write in line:
            write(batch)
        return {}


def _tapped(tap: Tap, codec: TapCodec) -> type[Connection]:
    class TappedConnection(Connection):
        """A connection that is looked into. It has no slots of its own, so that one can become the other."""

        __slots__ = ()

        @property
        def codec(self) -> Codec:
            """The one that notes."""
            return codec

        @property
        def handle(self) -> Any:
            """What that one writes to."""
            return self.transport.write

        def received(self, payload: Payload) -> bool:
            """Note what the client says."""
            tap.note(payload, incoming=True)
            return super().received(payload)

        def lost(self, cause: Disconnected) -> None:
            """Note the end."""
            tap.ended = True
            super().lost(cause)

    return TappedConnection
