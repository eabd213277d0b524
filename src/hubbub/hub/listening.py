"""Python code that hears a room without being in it: endpoints of server-sent events, jobs, bridges."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

from hubbub.core.errors import HistoryGone, SlowConsumer
from hubbub.core.messages import Publication
from hubbub.core.positions import Position
from hubbub.hub.fanout import PUBLICATION_BYTES
from hubbub.hub.following import Following

PAGE: Final = 256
"""Publications of the past that are read at once."""


class Listener:
    """An asynchronous iterator over the publications of one room, for one task. Made by `Hub.listen`.

    It ends when the hub does.

    Raises, when iterated:
        SlowConsumer: when more than `Limits.outbox_bytes` wait to be taken; what waited is thrown away.
        HistoryGone: when publications were lost, or forgotten before they could be read. All before the gap
            have come.
        BrokerError: if what was missed could not be read. Iterating again tries again.
    """

    __slots__ = (
        "_behind",
        "_end",
        "_following",
        "_limit",
        "_live",
        "_size",
        "_waiter",
        "_waiting",
        "position",
        "recovered",
        "room",
    )

    def __init__(
        self, room: str, following: Following, live: dict[str, list["Listener"]], limit: int
    ) -> None:
        self.room = room
        self.position: Position | None = None
        """Where it began: what comes follows it. None for a room without history."""

        self.recovered: bool | None = None
        """Whether all that followed `since` comes; None if that was not asked for."""

        self._following = following
        self._live = live
        self._limit = limit
        self._waiting: deque[Publication] = deque()
        self._size = 0  # bytes waiting
        self._behind: Position | None = None  # what follows it is yet to be read; None for one that is live
        self._waiter: asyncio.Future[None] | None = None
        self._end: Exception | None = None  # why nothing comes any more

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Publication:
        while not self._waiting:
            if self._end is not None:
                raise self._end
            if self._behind is None:
                await self._wait()
            else:
                await self._read_on(self._behind)
        publication = self._waiting.popleft()
        self._size -= publication.size + PUBLICATION_BYTES
        return publication

    async def begin(self, since: Position | None) -> None:
        """Hear the room from now on, or from a position on. Raises `BrokerError`."""
        if since is not None:
            try:
                self.position = self._following.placed(self.room, since)
                await self._read(self.position)
                self.recovered = True
                return
            except HistoryGone:
                self.recovered = False
        self.position = self._following.position(self.room)
        self._go_live()

    def hear(self, publication: Publication) -> None:
        """Take a publication, in the order of the room."""
        self._keep(publication)
        if self._size > self._limit:
            self._waiting.clear()
            self._size = 0
            self.end(SlowConsumer(f"more than {self._limit} bytes wait to be taken"))
        else:
            self._wake()

    def erased(self, position: Position) -> None:
        """Do not hand out the publication at that position, if it waits."""
        for publication in [one for one in self._waiting if one.position == position]:
            self._waiting.remove(publication)
            self._size -= publication.size + PUBLICATION_BYTES

    def end(self, cause: Exception) -> None:
        """Hear nothing more; who iterates gets what has come, and then the cause."""
        here = self._live.get(self.room, [])
        if self in here:
            here.remove(self)
            if not here:
                del self._live[self.room]
        self._end = self._end or cause
        self._wake()

    def _go_live(self) -> None:
        self._behind = None
        if self._end is None:
            self._live.setdefault(self.room, []).append(self)

    def _keep(self, publication: Publication) -> None:
        self._waiting.append(publication)
        self._size += publication.size + PUBLICATION_BYTES

    async def _read_on(self, since: Position) -> None:
        try:
            await self._read(since)
        except HistoryGone as error:
            self.end(error)
            raise

    async def _read(self, since: Position) -> None:
        """Read a page of what followed. Once nothing lies between it and what is delivered, it is live."""
        missed = await self._following.missed(self.room, since, PAGE)
        for publication in missed.publications:
            self._keep(publication)
        if missed.complete:
            self._go_live()
        else:
            self._behind = missed.position

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("Another task iterates over this listener")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Listeners:
    """Who hears which room in this process.

    Args:
        following: the subscriptions at the broker.
        limit: bytes that may wait to be taken by one of them.
    """

    __slots__ = ("_all", "_following", "_limit", "live")

    def __init__(self, following: Following, limit: int) -> None:
        self._following = following
        self._limit = limit
        self._all: set[Listener] = set()
        self.live: dict[str, list[Listener]] = {}
        """Those that are not reading the past, by room. The hot path looks here: it is empty in most hubs."""

    @asynccontextmanager
    async def listen(self, room: str, since: Position | None) -> AsyncIterator[Listener]:
        """Hear a room inside of the block. Raises `BrokerError`."""
        listener = Listener(room, self._following, self.live, self._limit)
        self._all.add(listener)  # before the wait: the hub may end meanwhile
        try:
            await self._following.follow(room)
        except BaseException:
            self._all.discard(listener)
            raise
        try:
            await listener.begin(since)
            yield listener
        finally:
            if listener in self._all:  # else the hub has ended meanwhile, and follows nothing
                self._all.remove(listener)
                listener.end(StopAsyncIteration())
                self._following.unfollow(room)

    def heard(self, publication: Publication) -> None:
        """Pass a publication on. Part of the hot path where somebody listens."""
        for listener in list(self.live.get(publication.room, ())):
            listener.hear(publication)

    def erased(self, room: str, position: Position) -> None:
        """A publication of the room was erased."""
        for listener in self._all:
            if listener.room == room:
                listener.erased(position)

    def interrupted(self, room: str) -> None:
        """The room lost publications."""
        for listener in list(self.live.get(room, ())):
            listener.end(HistoryGone(f"publications of {room} were lost"))

    def end(self) -> None:
        """The hub ends: nothing comes any more."""
        ending, self._all = self._all, set()
        for listener in ending:
            listener.end(StopAsyncIteration())
