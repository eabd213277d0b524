"""The rooms that an application has a client join, until the client is in them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hubbub.connection import Joined
from hubbub.core.errors import HubbubError
from hubbub.core.positions import Position


class Joins:
    """What is awaited. All who have the client join the same room wait for one outcome."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[str, Join] = {}

    def get(self, room: str) -> "Join | None":
        """The client is joining the room; None if not."""
        return self._waiting.get(room)

    def begin(self, room: str, since: Position | None) -> "Join":
        """The client begins to join."""
        join = self._waiting[room] = Join(since)
        return join

    def prepared(self, room: str, position: Position | None, *, missed: bool) -> None:
        """It is known where the room stands, and whether there are publications that the client missed."""
        join = self._waiting.get(room)
        if join is not None and join.since is not None:
            join.recovered = missed or join.since == position

    def entered(self, room: str, position: Position | None) -> None:
        """The client is in the room, and has what it missed."""
        join = self._waiting.pop(room, None)
        if join is not None and not join.outcome.done():
            join.outcome.set_result(Joined(position, join.recovered))

    def failed(self, room: str, error: HubbubError) -> None:
        """It does not come in."""
        join = self._waiting.pop(room, None)
        if join is not None and not join.outcome.done():
            join.outcome.set_exception(error)

    def fail_all(self, error: Callable[[], HubbubError]) -> None:
        """It comes into none of them any more."""
        for room in list(self._waiting):
            self.failed(room, error())


class Join:
    """One room. Each who has the client join calls `wait` once, and `give_up` if it is cancelled then."""

    __slots__ = ("_wanted", "outcome", "recovered", "since")

    def __init__(self, since: Position | None) -> None:
        self.since = since
        self.recovered: bool | None = None
        self.outcome: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
        self.outcome.add_done_callback(_look)
        self._wanted = 0

    def wait(self) -> Coroutine[Any, Any, Joined]:
        """The outcome, to be awaited. Raises what it failed with."""
        self._wanted += 1
        return _wait(self.outcome)

    def give_up(self) -> bool:
        """One wants it no more. Whether nobody does."""
        self._wanted -= 1
        return self._wanted == 0


async def _wait(outcome: "asyncio.Future[Joined]") -> Joined:
    try:
        return await asyncio.shield(outcome)
    finally:
        del outcome  # its error holds this frame, which would hold it


def _look(outcome: "asyncio.Future[Joined]") -> None:
    """Nobody may be there any more to see that it failed."""
    if not outcome.cancelled():
        outcome.exception()
