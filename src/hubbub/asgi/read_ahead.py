"""Reading for a handler that is busy elsewhere, a bounded number of messages ahead."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from hubbub.core.messages import Payload


class ReadAhead:
    """An inbox and the task that fills it.

    Args:
        next_payload: reads one event; None where it is not a message for the handler.
        limit: most messages held; after that the client has to wait.
        on_failure: called with an exception that ended the task.
    """

    __slots__ = (
        "_arrived",
        "_inbox",
        "_limit",
        "_stopped",
        "_taken",
        "_task",
    )

    def __init__(
        self,
        next_payload: Callable[[], Awaitable[Payload | None]],
        limit: int,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._limit = limit
        self._inbox: deque[Payload] = deque()
        self._stopped = False
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(
            self._fill(next_payload)
        )
        self._task.add_done_callback(partial(self._ended, on_failure))

    @property
    def full(self) -> bool:
        """The client's messages wait for the handler, and nothing more is read."""
        return len(self._inbox) >= self._limit

    def take(self) -> Payload | None:
        """The oldest message read; None when there is none."""
        if not self._inbox:
            return None
        self._taken.set()
        return self._inbox.popleft()

    async def wait(self) -> None:
        """Return once there is something to take, or some time later."""
        self._arrived.clear()
        await self._arrived.wait()

    def stop(self) -> None:
        """Stop reading; what was read can still be taken."""
        self._stopped = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def _fill(self, next_payload: Callable[[], Awaitable[Payload | None]]) -> None:
        while not self._stopped:  # a server's `receive` may wait for ever after the disconnect
            while self.full:
                self._taken.clear()
                await self._taken.wait()
            payload = await next_payload()
            if payload is not None:
                self._inbox.append(payload)
                self._arrived.set()

    def _ended(self, on_failure: Callable[[BaseException], None], task: "asyncio.Task[None]") -> None:
        self._task = None  # once cancelled, it would hold our frame
        if not task.cancelled() and (error := task.exception()) is not None:
            on_failure(error)
