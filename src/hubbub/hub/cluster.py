"""The hubs of all nodes together: which there are, who is where, and what is done on all of them."""

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from hubbub.connection import Connection
from hubbub.core.messages import Json, Payload
from hubbub.core.nodes import Node
from hubbub.core.presence import Present
from hubbub.core.presence_messages import make_member
from hubbub.hub.clock import Clock
from hubbub.hub.connections import Connections
from hubbub.hub.nodes import NodeLoad, Nodes
from hubbub.hub.presence import MemberMoved, Presence, Told
from hubbub.hub.signals import Signals

SEND: Final = "send to user"
DISCONNECT: Final = "disconnect user"


class _ToUser(msgspec.Struct, frozen=True, array_like=True):
    """A message for all connections of a user."""

    user: str
    text: str | None
    data: bytes = b""
    json: bool = False

    @property
    def payload(self) -> Payload:
        if self.text is None:
            return self.data
        return Json(self.text) if self.json else self.text


class _EndUser(msgspec.Struct, frozen=True, array_like=True):
    """The end of all connections of a user."""

    user: str
    code: int | None
    reason: str


class Cluster:
    """This hub among the others, while it runs.

    Args:
        signals: carries what hubs say to each other.
        connections: of this node.
        clock: the hub's.
        connected: whether the broker is there, as far as it knows.
        rooms: how many rooms have members here.
        joined: called when a user came into a room with presence in which this node is interested.
        left: called when one went.
        moved: called for each of their connections.
    """

    def __init__(
        self,
        signals: Signals,
        connections: Connections,
        clock: Clock,
        *,
        connected: Callable[[], bool],
        rooms: Callable[[], int],
        joined: Told,
        left: Told,
        moved: MemberMoved,
    ) -> None:
        self._connections = connections
        self._nodes = Nodes(
            signals,
            clock,
            name=f"{socket.gethostname()}-{os.getpid()}",
            load=lambda: NodeLoad(len(connections), rooms()),
            connected=connected,
        )
        self._presence = Presence(signals, self._nodes, clock, joined=joined, left=left, moved=moved)
        self._nodes.handle(SEND, self._send)
        self._nodes.handle(DISCONNECT, self._end)

    @property
    def id(self) -> str:
        """This node's id."""
        return self._nodes.id

    @property
    def own(self) -> Nodes:
        """This node among the others."""
        return self._nodes

    @property
    def nodes(self) -> list[Node]:
        """All nodes that live, this one first."""
        return self._nodes.nodes()

    async def start(self) -> None:
        """Begin to take part."""
        await self._nodes.start()

    async def stop(self) -> None:
        """Say goodbye."""
        try:
            await self._presence.stop()
        finally:
            await self._nodes.stop()

    # Presence

    def came(self, room: str, member: Connection, info: bytes) -> None:
        """A connection of this node came into a room with presence.

        Raises:
            ConfigurationError: if what others may know of it is no JSON, or too much.
            LimitReached: if this node has too many in the room.
        """
        user = member.user.id if member.user else None
        self._presence.join(room, make_member(member.id, user, member.info, info))

    def went(self, room: str, member: Connection) -> None:
        """A connection of this node left a room with presence."""
        self._presence.leave(room, member.id)

    async def present(self, room: str) -> list[Present]:
        """Everybody in a room, on all nodes. Raises `BrokerError` if the others cannot be asked."""
        return await self._presence.members(room)

    # Users

    async def send_to_user(self, user: str, payload: Payload) -> None:
        """Send to all connections of a user, on all nodes. Raises `BrokerError`."""
        if isinstance(payload, bytes):
            message = _ToUser(user, None, payload)
        else:
            message = _ToUser(user, str(payload), json=isinstance(payload, Json))
        await self._nodes.command(SEND, msgspec.msgpack.encode(message))

    async def disconnect_user(self, user: str, code: int | None, reason: str) -> None:
        """Close all connections of a user, on all nodes; None for their own code. Raises `BrokerError`."""
        await self._nodes.command(DISCONNECT, msgspec.msgpack.encode(_EndUser(user, code, reason)))

    def _send(self, node: str, data: bytes) -> None:
        message = msgspec.msgpack.decode(data, type=_ToUser)
        for connection in self._connections.of_user(message.user):
            connection.deliver(message.payload)

    def _end(self, node: str, data: bytes) -> None:
        message = msgspec.msgpack.decode(data, type=_EndUser)
        for connection in self._connections.of_user(message.user):
            code, reason = connection.endings.unwanted
            if message.code is not None:
                code, reason = message.code, message.reason
            self._connections.evictions.now_or_soon(connection, partial(connection.end, code, reason))
