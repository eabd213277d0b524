"""Compares where followed rooms stand with where the store stands: a channel may lose without a word."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import islice

from hubbub.brokers.followed import FollowedRooms
from hubbub.core.errors import BrokerError
from hubbub.core.positions import Position

INTERVAL = 1.0
"""Seconds between the beginnings of two sweeps, at least."""

ROOMS_PER_SECOND = 2_000
"""Rooms looked at in a second; where more are followed a sweep takes longer. Not after a link came back."""

TOGETHER = 200
"""Rooms looked at together."""

_logger = logging.getLogger("hubbub")


class Sweep:
    """One task that looks at all followed rooms again and again, and at once when it is told to.

    Args:
        followed: the rooms; they repair what was lost.
        position: reads a room's newest position.
    """

    def __init__(self, followed: FollowedRooms, position: Callable[[str], Awaitable[Position]]) -> None:
        self._followed = followed
        self._position = position
        self._now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def now(self) -> None:
        """Something may have been lost: look at all rooms at once."""
        self._now.set()

    async def _run(self) -> None:
        while True:
            urgent = await self._pause(INTERVAL)
            try:
                await self._look(urgent)
            except Exception:
                _logger.exception("redis: the comparison of positions failed, and goes on")

    async def _pause(self, seconds: float) -> bool:
        """Wait; True, and at once, if all rooms are to be looked at now."""
        try:
            async with asyncio.timeout(seconds):
                await self._now.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self, urgent: bool) -> None:
        if urgent:
            self._now.clear()
        names = iter(self._followed.names)
        while some := list(islice(names, TOGETHER)):
            await asyncio.gather(*map(self._compare, some))
            if not urgent and await self._pause(len(some) / ROOMS_PER_SECOND):
                return

    async def _compare(self, name: str) -> None:
        delivered = self._followed.position(name)
        if delivered is None:
            return
        try:
            position = await self._position(name)
        except BrokerError:
            return  # the next sweep, or the one when the link is back, will tell
        self._followed.seen(name, position, delivered)
