"""Sending to many clients at once on servers that have only ASGI's `send`, without a task for each.

A server's `send` seldom waits: it hands the bytes to the transport and returns. So one task per turn begins
the sends of all writers that have something, and only a send that does wait gets a task to end in. What is
published goes past the writers' outboxes where nothing waits in them.
Written for speed: on such servers this is the innermost step of a fan-out.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator, Iterator, Sequence
from types import CoroutineType
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


class Writer(Protocol):
    """Whoever has something to send. Nothing of it may raise."""

    @property
    def pump(self) -> "Pump":
        """What advances it."""
        ...

    def advance(self) -> None:
        """Begin to send what waits."""
        ...

    def pass_on(self, items: Sequence[Any]) -> None:
        """Begin to send these after what waits. Called in a task."""
        ...

    def queue(self, items: Sequence[Any]) -> None:
        """Put these behind what waits."""
        ...


class Pump:
    """Advances writers in one task at the end of the turn in which they were added."""

    __slots__ = ("_lines", "_ready", "_task")

    def __init__(self) -> None:
        self._ready: list[Writer] = []
        self._lines: list[tuple[Iterator[Writer], Sequence[Any]]] = []  # writers, and what each is to send
        self._task: asyncio.Task[None] | None = None  # None while there is nothing to do

    def add(self, writer: Writer) -> None:
        """Have the writer advanced."""
        self._ready.append(writer)
        self._start()

    def deliver(self, line: Sequence[Writer], items: Sequence[Any]) -> None:
        """Have each of the writers send the items, in the order of the calls."""
        self._lines.append((iter(line), items))
        self._start()

    def settle(self) -> None:
        """Queue what is to be delivered: a writer is about to do something that comes after it."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        for writers, items in lines:
            for writer in writers:
                writer.queue(items)

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._advance())

    async def _advance(self) -> None:
        ready, self._ready = self._ready, []
        for writer in ready:
            writer.advance()
        lines = self._lines
        for writers, items in lines:  # each writer is taken once, also if `settle` is called meanwhile
            for writer in writers:
                writer.pass_on(items)
        if self._lines is lines:
            self._lines = []
        self._task = None
        if self._ready or self._lines:
            self._start()


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
