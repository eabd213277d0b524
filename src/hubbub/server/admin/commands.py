"""What an operator does: publish, end connections, take them out of rooms, drain a node.

All but publishing goes to every node as a question of a survey; each does what is its, and answers how often,
so that the page can say what came of it.
"""

import logging
from collections.abc import Callable
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from hubbub.connection import Connection
from hubbub.core.errors import InvalidMessage
from hubbub.core.messages import Json
from hubbub.gateway.clients import Clients
from hubbub.hub import Hub
from hubbub.hub.parts import Parts
from hubbub.hub.survey import Survey
from hubbub.uvicorn.drain import leave_alone

DRAIN_DELAY: Final = 0.25
"""Seconds between the order to drain and its signal, in which the answer gets out."""

_KIND: Final = "admin command"
_Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]


class Publish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish into a room: JSON, or else text."""

    room: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: str | None = None


class EndConnection(msgspec.Struct, frozen=True, tag="disconnect", forbid_unknown_fields=True):
    """End one connection. Its client is told not to come back by itself."""

    connection: _Id


class EndUser(msgspec.Struct, frozen=True, tag="disconnect_user", forbid_unknown_fields=True):
    """End all connections of a user."""

    user: _Id


class Unsubscribe(msgspec.Struct, frozen=True, tag="unsubscribe", forbid_unknown_fields=True):
    """Take a connection out of a room."""

    connection: _Id
    room: _Id


class Drain(msgspec.Struct, frozen=True, tag="drain", forbid_unknown_fields=True):
    """End a node calmly, as SIGTERM does."""

    node: _Id


Command: TypeAlias = EndConnection | EndUser | Unsubscribe | Drain


class Commands:
    """Has commands carried out everywhere, and carries them out here.

    Args:
        hub: publishes.
        parts: of the running hub.
        survey: carries the commands.
        clients: those of the Centrifuge protocol.
    """

    def __init__(self, hub: Hub, parts: Parts, survey: Survey, clients: Clients) -> None:
        self._hub = hub
        self._parts = parts
        self._survey = survey
        self._clients = clients
        survey.answer(_KIND, self._here)

    async def publish(self, message: Publish) -> dict[str, object]:
        """Publish; returns where it stands in a room with history.

        Raises:
            InvalidMessage: for neither data nor text, or both.
            InvalidRoomName, BrokerError: as `Hub.broadcast_to_room`.
        """
        if (message.text is None) is (message.data is msgspec.UNSET):
            raise InvalidMessage("A publication has data or text")
        payload = message.text
        if isinstance(message.data, msgspec.Raw):
            payload = Json(bytes(message.data).decode())
        _logger.info("admin: publish into %.256r", message.room)
        position = (await self._hub.broadcast_to_room(message.room, payload)).position
        return {} if position is None else {"epoch": position.epoch, "offset": position.offset}

    async def carry_out(self, command: Command) -> dict[str, object]:
        """Do it on all nodes that answer in time; returns how often it was done.

        Raises:
            LimitReached, BrokerError: as `Survey.ask`.
        """
        _logger.info("admin: %.256r", command)
        answers = await self._survey.ask(_KIND, msgspec.msgpack.encode(command))
        return {"done": sum(_done.decode(item) for items in answers.values() for item in items)}

    def _here(self, question: bytes) -> list[bytes]:
        return [msgspec.msgpack.encode(self._obey(_commands.decode(question)))]

    def _obey(self, command: Command) -> int:
        match command:
            case EndConnection(connection=id):
                connection = self._parts.connections.get(id)
                return _each([] if connection is None else [connection], _end)
            case EndUser(user=user):
                return _each(self._parts.connections.of_user(user), _end)
            case Unsubscribe(connection=id, room=room):
                return self._unsubscribe(id, room)
            case Drain(node=node):
                return self._drain() if node == self._parts.nodes.id else 0

    def _unsubscribe(self, id: str, room: str) -> int:
        connection = self._parts.connections.get(id)
        if connection is None or room not in connection.rooms:
            return 0
        known = self._clients.get(id)
        if known is not None:
            known.client.unsubscribe(room)
        else:
            connection.leave(room)
        return 1

    def _drain(self) -> int:
        self._parts.clock.after(DRAIN_DELAY, leave_alone)
        return 1


def _each(connections: list[Connection], act: Callable[[Connection], None]) -> int:
    for connection in connections:
        act(connection)
    return len(connections)


def _end(connection: Connection) -> None:
    connection.end(*connection.endings.unwanted)


_logger = logging.getLogger("hubbub")
_commands: Final[msgspec.msgpack.Decoder[Command]] = msgspec.msgpack.Decoder(Command)
_done: Final = msgspec.msgpack.Decoder(int)
