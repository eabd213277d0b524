"""A process that stood still: what came meanwhile is read before anybody is found to be late."""

from typing import Final

STOOD_STILL: Final = 1.0
"""Seconds that a timer may be late. In a process that is later nothing ran: it was stopped, or kept busy."""

PARDON: Final = 1.0
"""Seconds that are waited then. What clients have sent in time is read and handled in them."""


class Standstill:
    """For a timer that ends what others are late with, as this process itself may have been the one. Pure."""

    __slots__ = ("waited", "waiting")

    def __init__(self) -> None:
        self.waiting = False
        """Whether what is due is being held back."""

        self.waited = 0.0
        """Seconds that what ran last was held back."""

    def pardon(self, expected: float, now: float) -> float:
        """Seconds to wait before what is due counts; 0 for none. After a wait there is none.

        Args:
            expected: when the timer was to run.
            now: when it runs.
        """
        self.waited = PARDON if self.waiting else 0.0
        self.waiting = not self.waiting and now - expected > STOOD_STILL
        return PARDON if self.waiting else 0.0
