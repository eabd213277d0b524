"""Sending to many clients at once on servers that have only ASGI's `send`, without a task for each.

A server's `send` seldom waits: it hands the bytes to the transport and returns. So one task per turn begins
the sends of all writers that have something, and only a send that does wait gets a task to end in.
Written for speed: on such servers this is the innermost step of a fan-out.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from types import CoroutineType
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class Writer(Protocol):
    """Whoever has something to send."""

    def advance(self) -> None:
        """Begin to send what waits. Must not raise."""
        ...


class Pump:
    """Advances writers in one task at the end of the turn in which they were added."""

    __slots__ = ("_ready", "_task")

    def __init__(self) -> None:
        self._ready: list[Writer] = []
        self._task: asyncio.Task[None] | None = None  # None while no writer is ready

    def add(self, writer: Writer) -> None:
        """Have the writer advanced."""
        self._ready.append(writer)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._advance())

    async def _advance(self) -> None:
        ready, self._ready, self._task = self._ready, [], None
        for writer in ready:
            writer.advance()


def begin(awaitable: Awaitable[None]) -> Awaitable[None] | None:
    """Run it to its first wait; return what is left of it, None if it ended without waiting.

    Must be called in a task, which code inside may ask for. What is no coroutine is left as it is.
    """
    if not isinstance(awaitable, CoroutineType):
        return awaitable
    try:
        waits_for = awaitable.send(None)
    except StopIteration:
        return None
    return Rest(awaitable, waits_for)


class Rest(Generic[T]):
    """A coroutine that has begun elsewhere, to be awaited to its end.

    Args:
        coroutine: it.
        waits_for: what it has yielded.
    """

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, T], waits_for: object) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[object, Any, T]:
        try:
            while True:
                try:
                    value = yield self._waits_for
                except BaseException as error:  # noqa: BLE001 - whatever it is, it is the coroutine's to handle
                    self._waits_for = self._coroutine.throw(error)
                else:
                    self._waits_for = self._coroutine.send(value)
        except StopIteration as end:
            result: T = end.value
            return result
