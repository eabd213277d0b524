"""What all clients of a gateway share."""

import logging
from collections.abc import Awaitable, Hashable
from typing import Final, Protocol

import msgspec

from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.errors import DisconnectCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.centrifuge.requests import NOTHING
from hubbub.centrifuge.results import ClientInfo, JoinPush, LeavePush, Push, Reply
from hubbub.centrifuge.terms import Terms
from hubbub.core.endings import Ending, Endings
from hubbub.core.formats import Format
from hubbub.core.messages import Payload
from hubbub.core.presence_messages import Member
from hubbub.gateway.formats import Formats, to_frame
from hubbub.gateway.handlers import Handlers, Visitor
from hubbub.hub import Hub
from hubbub.hub.background import Background
from hubbub.hub.parts import Parts


class Listener(Hashable, Protocol):
    """A client that hears of joins and leaves."""

    @property
    def codec(self) -> Codec:
        """Its encoding."""
        ...

    def write(self, frame: Payload) -> None:
        """Write a frame."""
        ...


def member_info(member: Member) -> ClientInfo:
    """A member of a room as clients are told of it."""
    return ClientInfo(
        member.user or "", member.client, _known(member.info_json), _known(member.room_info_json)
    )


def _known(info: bytes) -> msgspec.Raw:
    return NOTHING if info == b"null" else msgspec.Raw(info)


def _ending(code: DisconnectCode) -> Ending:
    return int(code), code.text


ENDINGS: Final = Endings(
    slow=_ending(DisconnectCode.SLOW),
    silent=_ending(DisconnectCode.NO_PONG),
    stopping=_ending(DisconnectCode.SHUTDOWN),
    unwanted=_ending(DisconnectCode.FORCE_NO_RECONNECT),
    flooding=_ending(DisconnectCode.TOO_MANY_REQUESTS),
    idle=_ending(DisconnectCode.FORCE_RECONNECT),  # it may be about to subscribe
    expired=None,  # the session gives the client time to bring new ones
)
"""How the hub ends clients of the protocol."""

SHUTDOWN: Final = _ending(DisconnectCode.SHUTDOWN)
SERVER_ERROR: Final = _ending(DisconnectCode.SERVER_ERROR)

_logger = logging.getLogger("hubbub")

MOST_NEWCOMERS: Final = 1_000
"""Clients of which it is not known yet who they are, where `Protection` says nothing else; more are refused
(503) before the handshake."""


class Service:
    """The hub, the application's handlers, the terms for clients, and who hears of joins and leaves.

    Args:
        hub: the hub.
        handlers: the application's.
        terms: for clients that answer pings as messages.
        native_terms: for those whose transport sees to that.
    """

    __slots__ = ("_audience", "_formats", "_leaving", "handlers", "hub", "native_terms", "newcomers", "terms")

    def __init__(self, hub: Hub, handlers: Handlers, terms: Terms, native_terms: Terms) -> None:
        self.hub = hub
        self.handlers = handlers
        self.terms = terms
        self.native_terms = native_terms
        self.newcomers = 0  # clients of which it is not known yet who they are
        self._formats = {codec.name: Formats(codec, self._reformat) for codec in (JSON_CODEC, PROTOBUF_CODEC)}
        self._audience: dict[str, dict[Listener, None]] = {}
        self._leaving = Background("handlers of leaving clients")
        hub.observers.add_moved(self._moved)
        hub.companions.append(self)

    async def begin(self, parts: Parts) -> None:
        """The hub begins: there is nothing to do."""

    async def end(self) -> None:
        """The hub ends: handlers that were told of clients that left may finish, if they are quick."""
        await self._leaving.finish()

    @property
    def crowded(self) -> bool:
        """Whether of so many clients it is not known yet who they are that no more should be let in."""
        protection = self.hub.protection
        most = protection.unauthenticated if protection is not None else None
        return self.newcomers >= (most or MOST_NEWCOMERS)

    def formats(self, codec: Codec) -> Formats:
        """The formats of an encoding."""
        return self._formats[codec.name]

    def listen(self, room: str, client: Listener) -> None:
        """Have the client told of joins and leaves."""
        self._audience.setdefault(room, {})[client] = None

    def ignore(self, room: str, client: Listener) -> None:
        """Tell it no longer; one that was not told is no error."""
        listeners = self._audience.get(room)
        if listeners is not None:
            listeners.pop(client, None)
            if not listeners:
                del self._audience[room]

    def left(self, visitor: Visitor, room: str) -> None:
        """Tell the application that a client has left a room."""
        try:
            leaving = self.handlers.left(visitor, room)
        except Exception:  # the client has left, whatever the application says
            _logger.exception("the end of a subscription was not handled")
            return
        if leaving is not None:
            self._leaving.run(_finish(leaving))

    def _moved(self, room: str, member: Member, came: bool) -> None:
        """Tell all that hear of joins and leaves in the room. Encoded once for each encoding."""
        if room not in self._audience:
            return
        info = member_info(member)
        push = Push(room, join=JoinPush(info)) if came else Push(room, leave=LeavePush(info))
        frames: dict[str, Payload] = {}
        for client in list(self._audience.get(room, ())):
            codec = client.codec
            frame = frames.get(codec.name)
            if frame is None:
                frame = frames[codec.name] = to_frame(codec, codec.encode_reply(Reply(push=push)))
            client.write(frame)

    def _reformat(self, room: str, format: Format, to: Format) -> None:
        if self.hub.running:
            self.hub.parts.memberships.reformat(room, format, to)


async def _finish(leaving: Awaitable[None]) -> None:
    await leaving
