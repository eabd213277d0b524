"""Ending those who say too much, a few in each turn of the event loop.

An end is dear: the handler's last steps, its words to the rooms, the log. A hundred clients that flood
together would all be ended in one turn, and everybody else would wait for that.
"""

import asyncio
from typing import Final

from hubbub.connection import Connection

PER_TURN: Final = 4
"""Connections ended in one turn."""


class Evictions:
    """Those that are about to be ended, the first one first. Each is there once."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[Connection, None] = {}

    def __contains__(self, member: Connection) -> bool:
        return member in self._waiting

    def add(self, member: Connection) -> None:
        """End it soon; what else it says meanwhile should not be answered."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._end_some)
        self._waiting[member] = None

    def _end_some(self) -> None:
        try:
            for member in list(self._waiting)[:PER_TURN]:
                del self._waiting[member]
                member.end(*member.endings.flooding)
        finally:
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._end_some)
