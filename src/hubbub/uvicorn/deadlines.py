"""One timer for any number of connections that share a delay."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from hubbub.core.standstill import Standstill

T = TypeVar("T")


class DeadlineQueue(Generic[T]):
    """Calls `action(item)` about `delay` seconds after `add(item)`, unless `discard(item)` came first.

    All delays are equal, so items are due in the order they were added: a dict is the queue, and one timer
    looks at its head. An action is late by 1/20 of the delay at most (and 0.1 s at most), so that a crowd of
    items shares a wake-up. After the process stood still all are a second later: see `Standstill`.
    """

    __slots__ = ("_action", "_delay", "_due", "_expected", "_loop", "_slack", "_standstill", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, delay: float, action: Callable[[T], None]) -> None:
        self._loop = loop
        self._delay = delay
        self._action = action
        self._slack = min(0.1, delay / 20)
        self._due: dict[T, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._expected = 0.0  # when the timer is to run
        self._standstill = Standstill()

    def __contains__(self, item: T) -> bool:
        return item in self._due

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: T) -> None:
        """Start the delay for `item`, or start it again."""
        self._due.pop(item, None)
        self._due[item] = self._loop.time() + self._delay
        if self._timer is None:
            self._wait(self._delay)

    def discard(self, item: T) -> None:
        """Forget `item`; unknown items are ignored."""
        self._due.pop(item, None)

    def _wait(self, seconds: float) -> None:
        self._expected = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._run)

    def _run(self) -> None:
        now = self._loop.time()
        pardon = self._standstill.pardon(self._expected, now)
        if pardon:
            self._wait(pardon)
            return
        expired = []
        self._timer = None
        for item, due in self._due.items():
            if due > now:
                self._wait(max(due - now, self._slack))
                break
            expired.append(item)
        for item in expired:
            del self._due[item]
        for item in expired:
            self._action(item)
