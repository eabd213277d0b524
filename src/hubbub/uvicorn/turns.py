"""What is done in one turn of the event loop: so much of each kind, that nobody waits long for the next turn.

All that the sockets bring is taken up in the turn in which it comes. A hundred clients that come back in the
same moment, or one that sends a thousand messages in one packet, would make one turn as long as all of that
takes, and everybody else would wait for its end. So what comes at once is begun in slices, and between two of
them the others have their turn.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class PerTurn:
    """Something that may be done so often in one turn of the event loop.

    Args:
        loop: the event loop.
        most: how often.
    """

    __slots__ = ("_left", "_loop", "_most")

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        self._loop = loop
        self._most = most
        self._left = most

    def take(self) -> bool:
        """Whether it may be done once more in this turn."""
        left = self._left
        if not left:
            return False
        if left == self._most:  # the first one: the turn is noticed only where something is done in it
            self._loop.call_soon(self._renew)
        self._left = left - 1
        return True

    def _renew(self) -> None:
        self._left = self._most


class Admission:
    """What begins a few at a time in each turn of the event loop, first come, first served.

    Args:
        loop: the event loop.
        per_turn: how many.
        waiting: how many may wait.
    """

    __slots__ = ("_loop", "_most_waiting", "_places", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, per_turn: int, waiting: int) -> None:
        self._loop = loop
        self._places = PerTurn(loop, per_turn)
        self._most_waiting = waiting
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether no more may wait."""
        return len(self._waiting) >= self._most_waiting

    def may_begin(self) -> bool:
        """Whether the next one may begin at once: nobody is before it, and this turn has a place left."""
        return not self._waiting and self._places.take()

    def wait(self, begin: Callable[[], None]) -> None:
        """Call it when it is its turn. Who has left by then does nothing."""
        if not self._waiting:
            self._loop.call_soon(self._begin_some)
        self._waiting.append(begin)

    def _begin_some(self) -> None:
        waiting = self._waiting
        try:
            while waiting and self._places.take():
                waiting.popleft()()
        finally:  # whoever fails must not keep back those behind it
            if waiting:
                self._loop.call_soon(self._begin_some)
