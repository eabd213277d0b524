"""What is done with a user's clients, on all nodes: each node does it with those that it has."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Final, TypeAlias

import msgspec

from hubbub.centrifuge.errors import Disconnect
from hubbub.core import signal_codec
from hubbub.core.errors import CloseCode
from hubbub.core.messages import Json, Payload
from hubbub.core.nodes import MAX_COMMAND_BYTES
from hubbub.core.positions import Position
from hubbub.gateway.clients import Clients
from hubbub.gateway.handlers import Grant

KIND: Final = "clients"
"""The kind of the command that carries these."""

_MAX_BYTES: Final = MAX_COMMAND_BYTES


class PackedPayload(msgspec.Struct, frozen=True, array_like=True):
    """A payload that stays what it is: JSON or bytes."""

    data: bytes
    json: bool

    @property
    def payload(self) -> Payload:
        """As it was."""
        return Json(self.data.decode()) if self.json else self.data


def pack(payload: Payload | None) -> PackedPayload | None:
    """Make a payload ready to travel. Text is taken for JSON."""
    if payload is None:
        return None
    return (
        PackedPayload(payload, False) if isinstance(payload, bytes) else PackedPayload(payload.encode(), True)
    )


class Target(msgspec.Struct, frozen=True, array_like=True):
    """Whom it is about: a user, or only the one client that has this id or session."""

    user: str
    client: str = ""
    session: str = ""


class SubscribeUser(msgspec.Struct, frozen=True, array_like=True, tag="subscribe"):
    """Subscribe the user's clients to a room."""

    target: Target
    room: str
    info: PackedPayload | None = None
    data: PackedPayload | None = None
    expire_at: float | None = None
    """Seconds since the Unix epoch."""

    since: tuple[str, int] | None = None
    """Epoch and offset of what they have seen."""

    options: Mapping[str, bool] = {}


class UnsubscribeUser(msgspec.Struct, frozen=True, array_like=True, tag="unsubscribe"):
    """Take them out of a room."""

    target: Target
    room: str


class DisconnectUser(msgspec.Struct, frozen=True, array_like=True, tag="disconnect"):
    """End them, but for the clients named in `keep`."""

    target: Target
    code: int
    reason: str
    keep: list[str] = []


class RefreshUser(msgspec.Struct, frozen=True, array_like=True, tag="refresh"):
    """Prolong them, or have them expire now."""

    target: Target
    expire_at: float | None = None
    """Seconds since the Unix epoch; None for never."""

    expired: bool = False


UserCommand: TypeAlias = SubscribeUser | UnsubscribeUser | DisconnectUser | RefreshUser

_decoder: msgspec.msgpack.Decoder[UserCommand] = msgspec.msgpack.Decoder(UserCommand)


def encode(command: UserCommand) -> bytes:
    """The payload of the command to all nodes."""
    return signal_codec.encode(command)


def obey(clients: Clients, data: bytes) -> None:
    """Do what a command says with the clients of this node. What is no command is ignored."""
    command = signal_codec.decode(data, _decoder, _MAX_BYTES)
    match command:
        case SubscribeUser():
            _subscribe(clients, command)
        case UnsubscribeUser(target=target, room=room):
            for client in clients.of(target.user, target.client, target.session):
                client.unsubscribe(room)
        case DisconnectUser():
            _disconnect(clients, command)
        case RefreshUser(target=target, expire_at=expire_at, expired=expired):
            for client in clients.of(target.user, target.client, target.session):
                client.refresh(0.0 if expired else _ttl(expire_at))


def _subscribe(clients: Clients, command: SubscribeUser) -> None:
    target, info, data = command.target, command.info, command.data
    grant = Grant(
        info.payload if info else None,
        data.payload if data else None,
        _ttl(command.expire_at),
        by_token=True,
        options=command.options,
    )
    since = Position(*command.since) if command.since is not None else None
    for client in clients.of(target.user, target.client, target.session):
        if command.room not in client.grants:
            client.subscribe(command.room, grant, since=since)


def _disconnect(clients: Clients, command: DisconnectUser) -> None:
    target, reason = command.target, Disconnect(command.code, command.reason)
    for client in clients.of(target.user, target.client, target.session):
        if client.connection.id not in command.keep:
            clients.end(client.connection, partial(client.disconnect, reason))
    if target.user and not target.session:
        for connection in clients.plain_of(target.user, target.client):
            if connection.id not in command.keep:
                clients.end(connection, partial(connection.end, plain_code(reason), reason.short_reason))


def plain_code(reason: Disconnect) -> int:
    """The close code with which a client that does not speak the protocol is ended for that reason.

    An application's own (4000 and above) stays; of the protocol's only the rule remains whether to come back.
    """
    if reason.code >= 4_000:
        return reason.code
    return CloseCode.SERVICE_RESTART if reason.reconnect else CloseCode.POLICY_VIOLATION


def _ttl(expire_at: float | None) -> float | None:
    return None if expire_at is None else expire_at - time.time()
