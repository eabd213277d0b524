"""One connection as the tables show it."""

from typing import Final

import msgspec

from hubbub.connection import Connection
from hubbub.gateway.clients import Clients

SHOWN_ROOMS: Final = 4
"""Rooms named in a table's row; all of them are where one connection is looked into."""

SHOWN_INFO: Final = 200
"""Characters of what others may know."""


class ConnectionRow(msgspec.Struct, frozen=True, array_like=True):
    """A connection of one node."""

    id: str
    node: str
    user: str | None
    info: str
    """What others may know about it, as JSON, cut; empty for nothing."""

    address: str
    """Where it comes from, as the server believes."""

    transport: str
    """``websocket``, ``sse`` or ``http_stream``."""

    protocol: str
    """``json`` or ``protobuf`` of the Centrifuge protocol, or ``plain``."""

    client: str
    """What its software calls itself."""

    rooms: list[str]
    room_count: int
    queued: int
    """Bytes that wait for it."""

    opened_at: float
    """Seconds since the Unix epoch."""

    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int


class ConnectionRows:
    """Makes rows of connections, and finds those that a text is about.

    Args:
        clients: those of the Centrifuge protocol.
        node: this node's id.
    """

    __slots__ = ("_clients", "_node")

    def __init__(self, clients: Clients, node: str) -> None:
        self._clients = clients
        self._node = node

    def row(self, connection: Connection, rooms: int | None = SHOWN_ROOMS) -> ConnectionRow:
        """The row, with so many of its rooms' names; None for all."""
        known = self._clients.get(connection.id)
        names, figures = connection.rooms, connection.figures
        return ConnectionRow(
            connection.id,
            self._node,
            connection.user.id if connection.user is not None else None,
            _shown(connection),
            connection.address,
            "websocket" if known is None else known.transport,
            "plain" if known is None else known.client.codec.name,
            "" if known is None else " ".join(known.client.app).strip(),
            names[:rooms],
            len(names),
            figures.queued_bytes,
            figures.opened_at,
            figures.messages_in,
            figures.messages_out,
            figures.bytes_in,
            figures.bytes_out,
        )

    def is_about(self, connection: Connection, text: str) -> bool:
        """Whether the text, in small letters, is in something that its row shows, or in one of its rooms."""
        user = connection.user.id.lower() if connection.user is not None else ""
        if text in user or text in connection.address or text in connection.id.lower():
            return True
        if connection.info is not None and text in _shown(connection).lower():
            return True
        known = self._clients.get(connection.id)
        if known is not None and text in " ".join(known.client.app).lower():
            return True
        return any(text in room.lower() for room in connection.rooms)


def _shown(connection: Connection) -> str:
    if connection.info is None:
        return ""
    try:
        return msgspec.json.encode(connection.info).decode()[:SHOWN_INFO]
    except (TypeError, UnicodeError):  # a plain handler may put anything there
        return repr(connection.info)[:SHOWN_INFO]
