"""What a hub says and does on all nodes: who lives, who is in a room, and reaching a user wherever it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

from hubbub.asgi.errors import SocketRefused
from hubbub.connection import Connection
from hubbub.core.errors import ConfigurationError, Unauthorized
from hubbub.core.limits import Limits
from hubbub.core.messages import to_payload
from hubbub.core.nodes import Node
from hubbub.core.options import RoomPatterns
from hubbub.core.presence import Present
from hubbub.core.users import User
from hubbub.hub.cluster import Cluster
from hubbub.hub.observers import Observer, Observers
from hubbub.hub.visit import refuse

Screen: TypeAlias = Callable[[User], None]
"""Called with a user who wants in; raises `Unauthorized` for one who may not."""


class AllNodes(ABC):
    """The part of a hub that does not stop at this process."""

    limits: Limits
    observers: Observers
    screens: list[Screen]
    _patterns: RoomPatterns

    @property
    @abstractmethod
    def _cluster(self) -> Cluster:
        """This hub among the others. Raises `HubNotRunning`."""

    @property
    def nodes(self) -> list[Node]:
        """All nodes of the cluster that live, this one first. Raises `HubNotRunning`."""
        return self._cluster.nodes

    async def presence(self, room: str) -> list[Present]:
        """Who is in a room with presence, on all nodes: users, each with its connections.

        Raises:
            ConfigurationError: if the room keeps no presence.
            BrokerError: if the other nodes could not be asked.
        """
        self.limits.check_room_name(room)
        if not self._patterns.options(room).presence:
            raise ConfigurationError("The room keeps no presence")
        return await self._cluster.present(room)

    def on_joined(self, handler: Observer) -> Observer:
        """Call ``handler(room, present)`` when a user comes into a room with presence, on whatever node.

        Several connections of a user count once. Only rooms that have members here, or were asked about in
        the last minute, are observed. What the handler raises is logged.
        """
        return self.observers.add_joined(handler)

    def on_left(self, handler: Observer) -> Observer:
        """`on_joined` for a user whose last connection has left."""
        return self.observers.add_left(handler)

    async def send_to_user(self, user: str, message: object) -> None:
        """Send to all connections of a user, on all nodes. Raises `BrokerError` and `TypeError`."""
        await self._cluster.send_to_user(user, to_payload(message))

    async def disconnect_user(self, user: str, code: int | None = None, reason: str = "") -> None:
        """Close all connections of a user, on all nodes: with 1008, or 3503 for clients of the Centrifuge
        protocol, unless another code is given. Raises `BrokerError`."""
        await self._cluster.disconnect_user(user, code, reason)

    def check_user(self, user: User | None) -> None:
        """Raises `Unauthorized` for a user who is blocked, or whose token was revoked, on whatever node."""
        if user is not None:
            for screen in self.screens:
                screen(user)

    async def _screen(self, connection: Connection) -> None:
        """Raises `SocketRefused`, when the client was told, for the connection of such a user."""
        try:
            self.check_user(connection.user)
        except Unauthorized as error:
            await refuse(connection, error)
            raise SocketRefused(error) from error
