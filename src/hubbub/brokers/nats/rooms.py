"""The rooms that this node hears."""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial

from hubbub.brokers.base import Receiver
from hubbub.brokers.followed import FollowedRooms
from hubbub.brokers.nats.client import Handle
from hubbub.brokers.nats.link import Link
from hubbub.brokers.nats.records import decode_record
from hubbub.brokers.nats.session import Session
from hubbub.core.errors import BrokerError
from hubbub.core.history import History
from hubbub.core.positions import Position

_logger = logging.getLogger("hubbub")


class _Heard:
    """A room's subscription, from a `subscribe` to the next `unsubscribe`."""

    __slots__ = ("handle", "link", "ready", "room")

    def __init__(self, room: str) -> None:
        self.room = room
        self.ready: asyncio.Task[None] | None = None
        self.link: Link | None = None
        self.handle: Handle | None = None

    def drop(self) -> None:
        if self.link is not None and self.handle is not None:
            self.link.drop(self.handle)


class HeardRooms:
    """Subscribes to rooms, again after each reconnect, and passes on what comes.

    Args:
        receiver: gets what has no position, or what nobody asked to follow.
        followed: gets what has a position.
    """

    def __init__(self, receiver: Receiver, followed: FollowedRooms) -> None:
        self._receiver = receiver
        self._followed = followed
        self._rooms: dict[str, _Heard] = {}
        self._session: Session | None = None
        self.active: set[str] = set()
        """Rooms with history of which something came since somebody emptied this."""

    async def use(self, session: Session) -> None:
        """Hear all rooms over this session from now on; returns once the server knows."""
        for heard in list(self._rooms.values()):
            await self._hear(heard, session)
        await session.link.barrier()
        self._session = session

    def pause(self) -> None:
        """There is no session."""
        self._session = None

    async def subscribe(self, room: str, history: History | None) -> Position | None:
        """As `Broker.subscribe`."""
        session = self._session
        if session is None:
            raise BrokerError("not connected to NATS")
        heard = self._rooms.get(room)
        if heard is None:
            heard = self._rooms[room] = _Heard(room)
            heard.ready = asyncio.create_task(self._begin(heard, session))
            heard.ready.add_done_callback(_look)
        if history is not None:
            self._followed.follow(room, history)
        if heard.ready is not None:
            await _done(heard.ready)
        if history is None:
            return None
        position = self._followed.position(room)
        return position if position is not None else await self._begin_following(heard, session)

    async def _begin_following(self, heard: _Heard, session: Session) -> Position:
        try:
            tail = await session.store.tail(heard.room)
        except BrokerError:
            if self._rooms.get(heard.room) is heard and self._followed.position(heard.room) is None:
                self.unsubscribe(heard.room)
            raise
        if self._rooms.get(heard.room) is not heard or heard.room not in self._followed:
            raise BrokerError("the room was left meanwhile")
        return self._followed.begin(heard.room, tail.position)

    def unsubscribe(self, room: str) -> None:
        """As `Broker.unsubscribe`."""
        heard = self._rooms.pop(room, None)
        self._followed.unfollow(room)
        self.active.discard(room)
        if heard is not None:
            heard.drop()

    def clear(self) -> None:
        """Forget all rooms."""
        for heard in self._rooms.values():
            if heard.ready is not None:
                heard.ready.cancel()
        self._rooms.clear()
        self._session = None

    async def _begin(self, heard: _Heard, session: Session) -> None:
        try:
            await self._hear(heard, session)
            await session.link.barrier()
        except BaseException:
            if self._rooms.get(heard.room) is heard:
                self.unsubscribe(heard.room)
            raise
        heard.ready = None

    async def _hear(self, heard: _Heard, session: Session) -> None:
        subject = session.subjects.live(heard.room)
        heard.handle = await session.link.subscribe(subject, partial(self._arrived, heard, session))
        heard.link = session.link
        if self._rooms.get(heard.room) is not heard:
            heard.drop()

    def _arrived(self, heard: _Heard, session: Session, data: bytes, headers: Mapping[str, str]) -> None:
        room = heard.room
        if self._rooms.get(room) is not heard:
            return
        try:
            record = decode_record(data)
            publications = list(record.publications(room))
        except BrokerError as error:
            _logger.error("room %s: %s", room, error)
            return
        if record.epoch and "Nats-Sequence" in headers:
            session.store.saw(room, record.position, int(headers["Nats-Sequence"]), data)
        if not record.epoch or room not in self._followed:
            for publication in publications:
                self._receiver.publication(publication)
            return
        self.active.add(room)
        for publication in publications:
            self._followed.arrived(publication)
        if not publications:
            self._followed.seen(room, record.position)


async def _done(task: "asyncio.Task[None]") -> None:
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():  # and not the one who waits
            raise BrokerError("the NATS broker is stopped") from None
        raise


def _look(task: "asyncio.Task[None]") -> None:
    """Those who wait for the task get its error; there may be nobody any more."""
    if not task.cancelled():
        task.exception()
