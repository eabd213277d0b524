"""One asyncio timer for all deadlines of a hub."""

import asyncio
from collections.abc import Callable

from hubbub.core.standstill import Standstill
from hubbub.core.timers import Timer, Timers


class Clock:
    """Runs actions at their time, on the running loop. An action that raises is reported to the loop.

    After the process stood still for more than a second, all of them are a second later: see `Standstill`.
    """

    __slots__ = ("_due", "_expected", "_handle", "_loop", "_standstill", "_timers")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timers = Timers()
        self._handle: asyncio.Handle | None = None  # for the earliest deadline; None when there is none
        self._due = 0.0  # that deadline: uvloop's handle does not know it
        self._expected = 0.0  # when it was to run: a deadline may be past when it is set
        self._standstill = Standstill()

    def now(self) -> float:
        """The loop's time, in seconds."""
        return self._loop.time()

    @property
    def held_back(self) -> float:
        """Seconds by which what runs now is later than it would be if the process had not stood still."""
        return self._standstill.waited

    def at(self, due: float, action: Callable[[], None]) -> Timer:
        """Call `action` once `now()` has reached `due`."""
        timer = self._timers.schedule(due, action)
        if self._handle is None or (due < self._due and not self._standstill.waiting):
            self._arm(due)
        return timer

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` in so many seconds."""
        return self.at(self.now() + seconds, action)

    def stop(self) -> None:
        """Forget all deadlines."""
        self._timers, self._standstill = Timers(), Standstill()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, due: float) -> None:
        expected = max(due, self.now())
        if self._handle is not None:
            self._handle.cancel()
            expected = min(expected, self._expected)  # it may be overdue, and tell of a standstill
        self._due, self._expected = due, expected
        self._handle = self._loop.call_at(due, self._run)

    def _run(self) -> None:
        pardon = self._standstill.pardon(self._expected, self.now())
        if pardon:
            self._handle = self._loop.call_later(pardon, self._run)
            return
        self._handle = None
        # Each in a callback of its own, so that one that fails does not keep the others from running.
        for action in self._timers.advance(self.now()):
            self._loop.call_soon(action)
        due = self._timers.next_due
        if due is not None:
            self._arm(due)
