"""What nodes tell each other about who is in a room."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from hubbub.core import signal_codec
from hubbub.core.errors import BadMessage, ConfigurationError
from hubbub.core.messages import from_json
from hubbub.core.nodes import MAX_NODES
from hubbub.core.signal_codec import MAX_ID, Count, Id

MAX_INFO_BYTES: Final = 1_024
"""Largest info of a member, as JSON."""

MAX_CHUNK: Final = 500
"""Most members in one message."""

MAX_CHUNK_BYTES: Final = 524_288
"""Size past which a message gets no more members: brokers have limits, too."""

MAX_BYTES: Final = 1_048_576
"""Largest message read."""

ROOM_NAME: Final = r"\A[A-Za-z0-9_\-:.@/]{1,297}\Z"
"""Names of rooms that another node may ask for: with the prefix, what a broker takes."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """One connection in a room, on whatever node. Made by `make_member`."""

    client: Id
    """The connection's id."""

    user: Annotated[str, msgspec.Meta(max_length=MAX_ID)] | None = None
    """The user's id; None for a connection without user."""

    info_json: Annotated[bytes, msgspec.Meta(max_length=MAX_INFO_BYTES)] = b"null"
    """What others may know about it, as JSON (RFC 8259)."""

    room_info_json: Annotated[bytes, msgspec.Meta(max_length=MAX_INFO_BYTES)] = b"null"
    """What others in this room may know about it besides."""

    def __post_init__(self) -> None:
        for info in (self.info_json, self.room_info_json):
            if info != b"null":
                try:
                    from_json(info.decode())
                except (BadMessage, UnicodeDecodeError) as error:
                    raise ValueError("a member's info is no JSON") from error  # msgspec: no valid message

    @property
    def info(self) -> Any:
        """What others may know about it, decoded."""
        return msgspec.json.decode(self.info_json)

    @property
    def key(self) -> str:
        """Who it counts as: connections of one user are one."""
        return f"client {self.client}" if self.user is None else f"user {self.user}"

    @property
    def size(self) -> int:
        """Most bytes that it takes in a message."""
        return (
            len(self.info_json)
            + len(self.room_info_json)
            + 4 * len(self.client)
            + 4 * len(self.user or "")
            + 16
        )


def make_member(
    client: str, user: str | None = None, info: object = None, room_info_json: bytes = b"null"
) -> Member:
    """A member to be announced to all nodes.

    Args:
        client: the connection's id.
        user: the user's id.
        info: what others may know about it: anything that JSON can say.
        room_info_json: what others in this room may know about it besides, as JSON.

    Raises:
        ConfigurationError: if an id has more than 255 characters or is no valid Unicode, or if an info
            is no JSON or larger than 1 KiB.
    """
    try:
        info_json = msgspec.json.encode(dict(info) if isinstance(info, Mapping) else info)
        member = msgspec.convert((client, user, info_json, room_info_json), Member)
        (client + (user or "")).encode()
    except (TypeError, UnicodeEncodeError, RecursionError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"This cannot be announced as a member: {error}") from error
    return member


class Delta(msgspec.Struct, frozen=True, array_like=True, tag="delta"):
    """Members of a node came and went. Those who came are counted before those who went."""

    node: Id
    sequence: Count
    """Grows with every message of the node: an older one that comes later is void."""

    joined: Annotated[list[Member], msgspec.Meta(max_length=MAX_CHUNK)]
    left: Annotated[list[Id], msgspec.Meta(max_length=MAX_CHUNK)]


class Snapshot(msgspec.Struct, frozen=True, array_like=True, tag="snapshot"):
    """All members of a node in the room, in one or several parts."""

    node: Id
    sequence: Count
    part: Count
    """Counts the parts from 0; they follow each other without anything of the node between them."""

    last: bool
    members: Annotated[list[Member], msgspec.Meta(max_length=MAX_CHUNK)]


class Sync(msgspec.Struct, frozen=True, array_like=True, tag="sync"):
    """A node begins to listen to the room: whoever has members in it shall send a snapshot."""

    node: Id


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """A command: these nodes shall send a snapshot of the room, also if they have no members in it."""

    room: Annotated[str, msgspec.Meta(pattern=ROOM_NAME)]
    nodes: Annotated[list[Id], msgspec.Meta(max_length=MAX_NODES)]


PresenceMessage: TypeAlias = Delta | Snapshot | Sync

_decoder: msgspec.msgpack.Decoder[PresenceMessage] = msgspec.msgpack.Decoder(PresenceMessage)
_ask_decoder: msgspec.msgpack.Decoder[Ask] = msgspec.msgpack.Decoder(Ask)


def read(data: bytes) -> PresenceMessage | None:
    """Read a message of a presence room; None for what is none."""
    return signal_codec.decode(data, _decoder, MAX_BYTES)


def read_ask(data: bytes) -> Ask | None:
    """Read the payload of the command `Ask`; None for what is none."""
    return signal_codec.decode(data, _ask_decoder, MAX_BYTES)


def chunks(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Members in the portions that fit a message; none for no members."""
    chunk: list[Member] = []
    size = 0
    for member in members:
        if len(chunk) == MAX_CHUNK or (chunk and size + member.size > MAX_CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(member)
        size += member.size
    if chunk:
        yield chunk
