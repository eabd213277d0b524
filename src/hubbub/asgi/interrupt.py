"""Ending a wait in another task, the way `asyncio.timeout` ends one at its deadline."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Interrupted(Exception):
    """The wait was ended by `Waits.interrupt`."""


class Waits:
    """The tasks that are waiting for one connection's server.

    A server need not wake them when the hub gives the client up: one that cannot write to a stalled peer
    reports nothing. So the hub cancels the wait itself, and only the wait: the task sees `Interrupted`.
    """

    __slots__ = ("_interrupted", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[asyncio.Task[object]] | None = None  # None until one waits
        self._interrupted = False

    async def until_interrupted(self, awaitable: Awaitable[T]) -> T:
        """Wait for `awaitable`.

        Raises:
            Interrupted: if `interrupt()` was called meanwhile.
        """
        task = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        if self._waiting is None:
            self._waiting = []
        waiting = self._waiting
        waiting.append(task)
        try:
            return await awaitable
        except asyncio.CancelledError:
            # Our own cancellation is taken back; one from elsewhere counts beside it and goes on.
            if self._interrupted and task.uncancel() <= cancels:
                raise Interrupted from None
            raise
        finally:
            waiting.remove(task)

    def interrupt(self) -> None:
        """End all waits. The calling task, if it is among them, is not waiting and goes on."""
        self._interrupted = True
        for task in self._waiting or ():
            if task is not asyncio.current_task():
                task.cancel()
