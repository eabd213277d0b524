"""Ending those who say too much, and those whom the application ends, a few in each turn of the event loop.

An end is dear: the handler's last steps, its words to the rooms, the log. A hundred clients that flood
together, or that one user has, would all be ended in one turn, and everybody else would wait for that.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from hubbub.connection import Connection

PER_TURN: Final = 4
"""Connections ended in one turn."""


class Evictions:
    """Those that are about to be ended, the first one first. Each is there once."""

    __slots__ = ("_ended", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[Connection, Callable[[], None]] = {}
        self._ended = 0  # in this turn

    def __contains__(self, member: Connection) -> bool:
        return member in self._waiting

    def add(self, member: Connection, end: Callable[[], None]) -> None:
        """Call `end` soon, unless it ends by itself before. What else it says should not be answered."""
        if not self._waiting and not self._ended:
            asyncio.get_running_loop().call_soon(self._end_some)
        self._waiting.setdefault(member, end)

    def now_or_soon(self, member: Connection, end: Callable[[], None]) -> None:
        """Call `end` at once where this turn has ended few, else soon."""
        if self._waiting or self._ended >= PER_TURN:
            self.add(member, end)
            return
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._end_some)
        self._ended += 1
        end()

    def _end_some(self) -> None:
        self._ended = 0
        try:
            for member in list(self._waiting)[:PER_TURN]:
                end = self._waiting.pop(member)
                if member.closed is None:
                    end()
        finally:
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._end_some)
