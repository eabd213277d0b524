"""The calls of one client that have to be waited for: a task for each, a bounded number at a time."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeAlias

from hubbub.centrifuge.actions import Answer, Call, Failed, Message, Publish

MOST_CALLS: Final = 128
"""Calls of one client that are carried out at the same time; more wait."""

Answered: TypeAlias = Callable[[Call, Answer], None]
Failure: TypeAlias = Callable[[Call, BaseException], Failed]

_LASTING: Final = (Publish, Message)  # carried out also for a client that does not wait for the answer
_logger = logging.getLogger("hubbub")


class CallTasks:
    """Owns the tasks.

    Args:
        answered: called with each answer. Must not raise.
        failure: makes an answer of an exception. Must not raise.
    """

    __slots__ = ("_answered", "_failure", "_tasks", "_waiting")

    def __init__(self, answered: Answered, failure: Failure) -> None:
        self._answered = answered
        self._failure = failure
        self._tasks: dict[asyncio.Task[None], tuple[Call, Awaitable[Answer]]] = {}
        self._waiting: deque[tuple[Call, Awaitable[Answer]]] | None = None  # None where none ever waited

    def add(self, call: Call, answer: Awaitable[Answer]) -> None:
        """Wait for an answer, now or when it is its turn."""
        if len(self._tasks) < MOST_CALLS:
            self._start(call, answer)
        else:
            self._waiting = self._waiting or deque()
            self._waiting.append((call, answer))

    async def finish(self, seconds: float) -> None:
        """Wait, so many seconds at most, until what the client has published is published."""
        try:
            async with asyncio.timeout(seconds):
                while last := [task for task, (call, _) in self._tasks.items() if isinstance(call, _LASTING)]:
                    await asyncio.wait(last)
        except TimeoutError:
            _logger.warning("the last messages of a client were not taken in %g s", seconds)

    def cancel(self) -> None:
        """Give up what is not done."""
        waiting, self._waiting = self._waiting or (), None
        for _, answer in waiting:
            _drop(answer)
        for task in self._tasks:
            task.cancel()

    def _start(self, call: Call, answer: Awaitable[Answer]) -> None:
        task = asyncio.get_running_loop().create_task(self._wait_for(call, answer))
        self._tasks[task] = (call, answer)
        task.add_done_callback(self._ended)

    async def _wait_for(self, call: Call, awaited: Awaitable[Answer]) -> None:
        try:
            answer = await awaited
        except Exception as error:  # noqa: BLE001 - an application's may raise anything
            answer = self._failure(call, error)
        self._answered(call, answer)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        call, answer = self._tasks.pop(task)
        _drop(answer)
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("%s was not answered", type(call).__name__, exc_info=error)
        if self._waiting:
            self._start(*self._waiting.popleft())


def _drop(answer: Awaitable[Answer]) -> None:
    """Nobody waits for it. A task that is cancelled before it begins leaves it behind."""
    if isinstance(answer, Coroutine):
        answer.close()
