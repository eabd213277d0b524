"""Many items that are looked at again and again, each so many seconds after the last time. Pure."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Rounds(Generic[T]):
    """A queue of what is looked at next. All wait equally long, so a dict in the order of `add` is the queue.

    Args:
        interval: seconds between two looks at the same item.
    """

    __slots__ = ("_due", "_interval")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._due: dict[T, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    @property
    def next_due(self) -> float | None:
        """When `take` has something to return; None while there is nothing to look at."""
        return next(iter(self._due.values()), None)

    def add(self, item: T, now: float) -> None:
        """Have it looked at from now on."""
        self._due[item] = now + self._interval

    def discard(self, item: T) -> None:
        """Look at it no more; unknown items are ignored."""
        self._due.pop(item, None)

    def take(self, now: float) -> list[T]:
        """What is due now. It is the last in the queue then."""
        due = []
        for item, time in self._due.items():
            if time > now:
                break
            due.append(item)
        for item in due:
            del self._due[item]
            self.add(item, now)
        return due
