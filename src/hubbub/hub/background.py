"""Tasks that nobody waits for: held until they end, seen when they fail, ended with their owner."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Final

LAST_STEPS: Final = 0.5
"""Seconds that tasks may go on when their owner ends. A process has to end in time after SIGTERM."""

_logger = logging.getLogger("hubbub")


class Background:
    """The tasks of one owner.

    Args:
        what: names the owner in the log.
    """

    __slots__ = ("_tasks", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Do the work in a task of its own; it begins in the loop's next turn. A failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def finish(self, seconds: float = LAST_STEPS) -> None:
        """Wait until all is done, so many seconds at most; then `stop`."""
        until = asyncio.get_running_loop().time() + seconds
        while self._tasks and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        await self.stop()

    async def stop(self) -> None:
        """Cancel what is not done, and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("%s: a task failed", self._what, exc_info=error)
