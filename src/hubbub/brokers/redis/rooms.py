"""The rooms this node listens to, and how one is entered so that nothing of it is missed."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hubbub.brokers.followed import FollowedRooms
from hubbub.brokers.redis.keys import Keys
from hubbub.brokers.redis.servers import Servers
from hubbub.core.errors import BrokerError
from hubbub.core.history import History
from hubbub.core.positions import Position


@dataclass(slots=True, eq=False)
class _Room:
    name: str
    history: History | None
    entered: "asyncio.Future[Position | None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Rooms:
    """Enters and leaves rooms. Entering belongs to the room, not to who asked: those who ask may go away.

    Args:
        servers: where the rooms are.
        keys: how their channels are named.
        followed: gets the rooms that have a history.
        position: reads a room's newest position.
        timeout: seconds that the server may take to acknowledge a subscription.
    """

    def __init__(
        self,
        servers: Servers,
        keys: Keys,
        followed: FollowedRooms,
        position: Callable[[str], Awaitable[Position]],
        timeout: float,
    ) -> None:
        self._servers = servers
        self._keys = keys
        self._followed = followed
        self._position = position
        self._timeout = timeout
        self._rooms: dict[str, _Room] = {}
        self._names: dict[bytes, str] = {}  # by channel
        self._tasks: set[asyncio.Task[None]] = set()

    def name_of(self, channel: bytes) -> str | None:
        """The room of a channel; None if it is not listened to."""
        return self._names.get(channel)

    async def enter(self, name: str, history: History | None) -> Position | None:
        """Listen to the room; the answer is where it stands, if it has a history.

        Raises:
            BrokerError: if the server does not acknowledge, or if the room is left meanwhile.
        """
        room = self._rooms.get(name)
        if room is None or (room.history is None and history is not None):
            room = self._begin(name, history)
        elif room.entered.done() and not room.entered.exception():
            return None if history is None else self._followed.position(name)
        return await asyncio.shield(room.entered)

    def leave(self, name: str) -> None:
        """Stop listening. What is entered later stays entered."""
        if self._rooms.pop(name, None) is not None:
            self._followed.unfollow(name)
            channel = self._keys.channel(name)
            del self._names[channel]
            self._servers.drop(channel)

    async def close(self) -> None:
        """Leave all rooms without a word to the servers; who still waits gets a `BrokerError`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for room in self._rooms.values():
            _end(room, BrokerError("the broker is stopped"))
        self._rooms.clear()
        self._names.clear()

    def _begin(self, name: str, history: History | None) -> _Room:
        channel = self._keys.channel(name)
        subscriptions = self._servers.of(channel).subscriptions
        if not subscriptions.connected:
            raise BrokerError("there is no link to the Redis server")
        room = self._rooms[name] = _Room(name, history)
        self._names[channel] = name
        if history is not None:
            self._followed.follow(name, history)
        task = asyncio.get_running_loop().create_task(self._enter(room, subscriptions.want(channel)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return room

    async def _enter(self, room: _Room, acknowledged: asyncio.Future[None]) -> None:
        position: Position | None = None
        failure: BrokerError | None = None
        try:
            await self._acknowledgement(acknowledged)
            if room.history is not None:
                position = await self._position(room.name)
        except BrokerError as error:
            failure = error
        current = self._rooms.get(room.name)
        if current is not room and current is not None:
            await self._with(room, current)
        elif failure is None and current is room:
            _end(room, position if position is None else self._followed.begin(room.name, position))
        else:
            self.leave(room.name)
            _end(room, failure or BrokerError("the room was unsubscribed from meanwhile"))

    async def _acknowledgement(self, acknowledged: asyncio.Future[None]) -> None:
        done, _ = await asyncio.wait([acknowledged], timeout=self._timeout)
        if not done:
            raise BrokerError("the Redis server did not acknowledge the subscription")
        acknowledged.result()

    async def _with(self, room: _Room, current: _Room) -> None:
        """The room was left and entered again, or turned out to have a history: it ends as that one does."""
        await asyncio.wait([current.entered])
        _end(room, current.entered.exception() or (current.entered.result() if room.history else None))


def _end(room: _Room, outcome: BaseException | Position | None) -> None:
    if room.entered.done():
        return
    if isinstance(outcome, BaseException):
        room.entered.set_exception(outcome)
        room.entered.exception()  # seen: who asked may have gone away
    else:
        room.entered.set_result(outcome)
