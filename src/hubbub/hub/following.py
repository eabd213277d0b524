"""The rooms that this process follows at the broker, and where each of them stands."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from hubbub.brokers import Broker
from hubbub.core.errors import BrokerError, HistoryGone, HubNotRunning
from hubbub.core.messages import Publication
from hubbub.core.options import RoomOptions
from hubbub.core.positions import Position

MAX_RECORDED = 4_096
"""Publications noted while a room's history is read; past that it is read again."""

LAG = 0.01
"""Seconds between looks at a room that is behind what a client has seen on another node."""

MAX_LAG = 5.0
"""Seconds that this process may be behind another one before a client that saw more is refused."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What came after a position."""

    publications: list[Publication]
    position: Position
    """They are all that came up to here."""

    complete: bool
    """Nothing lies between these and what is delivered from now on, until something is awaited."""


@dataclass(slots=True)
class _Followed:
    options: RoomOptions
    followers: int = 0
    position: Position | None = None  # of what was delivered last; None for a room without history
    subscribed: bool = False
    answer: "asyncio.Future[BrokerError | None] | None" = None  # while somebody waits for the broker's
    recordings: list[list[Publication]] = field(default_factory=list)  # of those who read history now
    erased: set[Position] = field(default_factory=set)  # while there are recordings


class Following:
    """Counts who needs a room, and subscribes for all of them once.

    Args:
        broker: what is followed.
        options: looks up a room's options by its name.
    """

    __slots__ = ("_broker", "_options", "_rooms")

    def __init__(self, broker: Broker, options: Callable[[str], RoomOptions]) -> None:
        self._broker = broker
        self._options = options
        self._rooms: dict[str, _Followed] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def position(self, name: str) -> Position | None:
        """Where the room stands: what is delivered next follows it. None for a room without history."""
        room = self._rooms.get(name)
        return None if room is None else room.position

    def placed(self, name: str, since: Position) -> Position:
        """The position; one with an empty epoch in the present epoch of the room."""
        here = self.position(name)
        return since if since.epoch or here is None else Position(here.epoch, since.offset)

    async def follow(self, name: str) -> None:
        """Count one more who needs the room; returns once none of its publications can be missed.

        Raises:
            BrokerError: if the broker does not answer; then nothing is counted.
        """
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = _Followed(self._options(name))
        room.followers += 1
        try:
            while not room.subscribed:
                if room.answer is None:
                    await self._subscribe(name, room)
                else:
                    error = await asyncio.shield(room.answer)
                    if error is not None:
                        raise BrokerError(str(error)) from error
        except BaseException:
            self._release(name, room)
            raise

    def unfollow(self, name: str) -> None:
        """Count one less."""
        room = self._rooms.get(name)
        if room is not None:
            self._release(name, room)

    def clear(self) -> None:
        """Forget all rooms: the broker has stopped."""
        self._rooms = {}

    def delivered(self, publication: Publication) -> None:
        """Note how far the room has come. Part of the hot path."""
        room = self._rooms.get(publication.room)
        if room is None or publication.position is None:
            return
        room.position = publication.position
        for recording in room.recordings:
            if len(recording) < MAX_RECORDED:
                recording.append(publication)

    def passed(self, name: str, position: Position) -> None:
        """Note that the room stands there, with nothing to deliver."""
        room = self._rooms.get(name)
        if room is not None:
            room.position = position

    def erased(self, name: str, position: Position) -> None:
        """Keep the publication at that position no longer for those who read history now."""
        room = self._rooms.get(name)
        if room is None or not room.recordings:
            return
        room.erased.add(position)  # a page that is on its way may have it
        for recording in room.recordings:
            recording[:] = [one for one in recording if one.position != position]

    def interrupted(self, name: str, position: Position) -> bool:
        """Note that the room goes on after `position`; False if it stood there anyway."""
        room = self._rooms.get(name)
        if room is None or room.position == position:
            return False
        room.position = position
        for recording in room.recordings:
            recording.clear()
        return True

    async def missed(self, name: str, since: Position, limit: int) -> Missed:
        """What came after a position and was delivered here before this call ended: `limit` of it at most.

        Raises:
            HistoryGone: if that is not all kept any more.
            BrokerError: if the broker could not be asked.
            HubNotRunning: if the hub has ended.
        """
        room = self._rooms.get(name)
        if room is None:  # the hub has ended meanwhile: who asks has the room followed
            raise HubNotRunning
        history = room.options.history
        if history is None or room.position is None:
            raise HistoryGone(f"The room {name} keeps no history")
        recording: list[Publication] = []
        room.recordings.append(recording)
        try:
            page = await self._broker.history(name, history, since=since, limit=limit, reverse=False)
            await self._reach(room, since)
            erased = room.erased.copy()
        finally:
            self.stop_recording(name, recording)
        here = room.position
        if here.epoch != since.epoch:
            raise HistoryGone(f"The room {name} began anew")
        found = [
            one
            for one in page.publications
            if one.position is not None and one.position <= here and one.position not in erased
        ]
        last = page.position.offset
        if len(page.publications) >= limit and (newest := page.publications[-1].position) is not None:
            last = newest.offset
        last = min(last, here.offset)
        # The page may end before what was delivered while it was on its way.
        tail = [one for one in recording if one.position is not None and one.position.offset > last]
        if tail and tail[0].position == Position(here.epoch, last + 1):
            found += tail
            last = tail[-1].position.offset if tail[-1].position is not None else last
        return Missed(found, Position(here.epoch, last), last == here.offset)

    def record(self, name: str) -> list[Publication]:
        """A list to which the publications of a room that is followed are added, 4,096 at most.

        For somebody who has an answer of `missed`, or a `position`, and cannot use it at once.
        """
        recording: list[Publication] = []
        self._rooms[name].recordings.append(recording)
        return recording

    def stop_recording(self, name: str, recording: list[Publication]) -> None:
        """Add nothing more to the list."""
        room = self._rooms.get(name)
        if room is not None:  # by identity: lists that are equal are others' all the same
            room.recordings = [one for one in room.recordings if one is not recording]
            if not room.recordings:
                room.erased.clear()

    async def _reach(self, room: _Followed, since: Position) -> None:
        """Wait until what the client has seen, perhaps on a node that is ahead, was delivered here, too."""
        until = asyncio.get_running_loop().time() + MAX_LAG
        while room.position and room.position.epoch == since.epoch and room.position.offset < since.offset:
            if asyncio.get_running_loop().time() > until:
                raise BrokerError("This node is behind what the client has seen")
            await asyncio.sleep(LAG)

    async def _subscribe(self, name: str, room: _Followed) -> None:
        """Subscribe for all that wait. If this one is cancelled, the next of them does."""
        room.answer = asyncio.get_running_loop().create_future()
        error: BrokerError | None = None
        try:
            position = await self._broker.subscribe(name, room.options.history)
            room.subscribed = True
            if room.position is None:  # else something was delivered already
                room.position = position
        except BrokerError as refusal:
            error = refusal
            raise
        finally:
            room.answer.set_result(error)
            room.answer = None

    def _release(self, name: str, room: _Followed) -> None:
        room.followers -= 1
        if not room.followers and self._rooms.get(name) is room:
            del self._rooms[name]
            self._broker.unsubscribe(name)
