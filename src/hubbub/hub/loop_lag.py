"""How late the event loop is: what keeps it busy keeps every client waiting."""

import time
from collections import deque
from typing import Final

from hubbub.hub.clock import Clock

INTERVAL: Final = 0.25
"""Seconds between looks."""

WINDOW: Final = 10.0
"""Seconds of which the largest lag is known."""


class LoopLag:
    """Has itself called at a time, and notes how much later that happens.

    Args:
        clock: the hub's.
    """

    __slots__ = ("_clock", "_due", "_recent")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due = 0.0
        self._recent: deque[float] = deque(maxlen=round(WINDOW / INTERVAL))

    @property
    def last(self) -> float:
        """The last one, in seconds."""
        return self._recent[-1] if self._recent else 0.0

    @property
    def most(self) -> float:
        """The largest of the last ten seconds."""
        return max(self._recent, default=0.0)

    def start(self) -> None:
        """Look from now on, until the clock is stopped."""
        self._due = time.monotonic() + INTERVAL
        self._clock.after(INTERVAL, self._look)

    def _look(self) -> None:
        self._recent.append(max(0.0, time.monotonic() - self._due - self._clock.held_back))
        self.start()
