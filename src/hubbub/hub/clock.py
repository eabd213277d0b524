"""One asyncio timer for all deadlines of a hub."""

import asyncio
from collections.abc import Callable

from hubbub.core.timers import Timer, Timers


class Clock:
    """Runs actions at their time, on the running loop. An action that raises is reported to the loop."""

    __slots__ = ("_due", "_handle", "_loop", "_timers")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers = Timers()
        self._handle: asyncio.Handle | None = None  # for the earliest deadline; None when there is none
        self._due = 0.0  # that deadline: uvloop's handle does not know it

    def now(self) -> float:
        """The loop's time, in seconds."""
        return self._loop.time()

    def at(self, due: float, action: Callable[[], None]) -> Timer:
        """Call `action` once `now()` has reached `due`."""
        timer = self._timers.schedule(due, action)
        if self._handle is None or due < self._due:
            self._arm(due)
        return timer

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` in so many seconds."""
        return self.at(self.now() + seconds, action)

    def stop(self) -> None:
        """Forget all deadlines."""
        self._timers = Timers()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, due: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._due = due
        self._handle = self._loop.call_at(due, self._run)

    def _run(self) -> None:
        self._handle = None
        # Each in a callback of its own, so that one that fails does not keep the others from running.
        for action in self._timers.advance(self.now()):
            self._loop.call_soon(action)
        due = self._timers.next_due
        if due is not None:
            self._arm(due)
