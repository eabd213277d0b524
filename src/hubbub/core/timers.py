"""Many deadlines behind one timer: a heap that is told the time."""

import heapq
from collections.abc import Callable


class Timer:
    """One deadline. `cancel()` costs nothing; the heap forgets it later."""

    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Callable[[], None] | None) -> None:
        self.due = due
        self.action = action  # None once cancelled or done

    def __lt__(self, other: "Timer") -> bool:
        return self.due < other.due

    def cancel(self) -> None:
        """Make sure that the action does not run."""
        self.action = None


class Timers:
    """All deadlines of a hub. Times are seconds of whatever clock the caller uses."""

    __slots__ = ("_heap", "_tidy_at")

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._tidy_at = 64  # length of the heap at which it is searched for cancelled timers

    def __len__(self) -> int:
        return sum(timer.action is not None for timer in self._heap)

    def schedule(self, due: float, action: Callable[[], None]) -> Timer:
        """Have `advance` call `action` once the time has come."""
        timer = Timer(due, action)
        heapq.heappush(self._heap, timer)
        if len(self._heap) > self._tidy_at:
            self._tidy()
        return timer

    @property
    def next_due(self) -> float | None:
        """When `advance` has something to do next; None when nothing is scheduled."""
        while self._heap and self._heap[0].action is None:
            heapq.heappop(self._heap)
        return self._heap[0].due if self._heap else None

    def advance(self, now: float) -> list[Callable[[], None]]:
        """Remove what is due and return the actions, in the order of their deadlines."""
        due: list[Callable[[], None]] = []
        while self._heap and (self._heap[0].due <= now or self._heap[0].action is None):
            timer = heapq.heappop(self._heap)
            if timer.action is not None:
                due.append(timer.action)
                timer.action = None
        return due

    def _tidy(self) -> None:
        # Only when the heap has doubled since the last time: a constant cost for each timer.
        self._heap = [timer for timer in self._heap if timer.action is not None]
        heapq.heapify(self._heap)
        self._tidy_at = max(64, 2 * len(self._heap))
