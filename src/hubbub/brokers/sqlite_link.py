"""Between the event loop and the SQLite broker's thread: what waits, how much of it, and for how long."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubbub.brokers.sqlite_operations import Append, Operation, fail
from hubbub.core.errors import BrokerError
from hubbub.core.messages import Publication

MAX_WAITING = 100_000
MAX_WAITING_BYTES = 67_108_864
"""Operations that wait for the disk, and the bytes they carry; more are refused."""

LARGEST_BATCH = 1_000
"""Operations that are handed back together at most, so that the event loop is not held up."""

LOOK = 1.0
"""Seconds between two looks at how long the thread has taken."""

OPENING = 60.0
STALLED = 10.0
CLOSING = 30.0
"""Seconds that the file may take to open (it may have to recover), to answer, and to close."""

_logger = logging.getLogger("hubbub")


class Worker(Protocol):
    """A thread that does batches in the order in which they are put."""

    def put(self, batch: list[Operation]) -> None:
        """Have these done, after everything that was put before."""
        ...

    def end(self) -> None:
        """Do what was put, and end."""
        ...


@dataclass(frozen=True, slots=True)
class _Batch:
    operations: list[Operation]
    bytes: int
    since: float  # by the loop's clock


class Link:
    """One run of the thread, from its start to its end, as the event loop sees it.

    Args:
        name: of the file, for messages.
        deliver: gets each publication once it is committed, in the order of the commits.
    """

    def __init__(self, name: str, deliver: Callable[[Publication], None]) -> None:
        self._name = name
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self.create_future = self._loop.create_future
        self._worker: Worker | None = None
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._closed: str | None = "is not open yet"  # why nothing is accepted
        self._failing = False  # whether the last transaction failed
        self._stalled = False  # whether the thread has not answered for long
        self._queue: list[Operation] = []  # of this turn of the loop
        self._batches: deque[_Batch] = deque()  # with the thread
        self._handed_over = 0  # operations that are with the thread
        self._handed_over_bytes = 0
        self._waiting_bytes = 0  # those of the queue among them
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        """Whether it is open, the thread answers, and the last transaction worked."""
        return self._closed is None and not self._failing and not self._stalled

    async def open(self, worker: Worker) -> None:
        """Wait until the worker, which was told of this object, has opened the file.

        Raises:
            HubbubError: what the worker met with.
            BrokerError: if it takes more than `OPENING` seconds.
        """
        self._worker = worker
        try:
            async with asyncio.timeout(OPENING):
                await self._opened
        except BaseException as error:
            worker.end()
            if isinstance(error, TimeoutError):
                raise BrokerError(f"{self._name} could not be opened in {OPENING:.0f} s") from None
            raise
        self._closed = None
        self._timer = self._loop.call_later(LOOK, self._look)

    async def close(self) -> None:
        """Have everything done that waits, and end; an error is logged, what waits for the disk fails."""
        if self._queue:
            self._hand_over()
        self._refuse("is stopped")
        if self._worker is None:
            return
        self._worker.end()
        try:
            async with asyncio.timeout(CLOSING):
                await asyncio.shield(self._ended)
        except TimeoutError:
            _logger.error("%s could not be closed in %.0f s", self._name, CLOSING)
            self._fail_all("was not done before the end")

    def ask(self, operation: Operation, size: int = 0) -> None:
        """Have an operation done; its waiter is told of the outcome.

        Args:
            operation: what to do.
            size: the bytes that it carries.

        Raises:
            BrokerError: if nothing is accepted now, or too much waits already.
        """
        if self._closed is not None or self._stalled:
            self.check_open()
            raise BrokerError(f"{self._name} does not answer")
        queue = self._queue
        count = len(queue)
        waiting_bytes = self._waiting_bytes + size
        if self._handed_over + count >= MAX_WAITING or (
            waiting_bytes > MAX_WAITING_BYTES and self._waiting_bytes
        ):
            raise BrokerError(f"too many publishes wait for {self._name}")
        self._waiting_bytes = waiting_bytes
        queue.append(operation)
        if count == 0:
            self._loop.call_soon(self._hand_over)
        elif count == LARGEST_BATCH - 1:
            self._hand_over()

    def check_open(self) -> None:
        """Raises `BrokerError` if nothing is accepted."""
        if self._closed is not None:
            raise BrokerError(f"{self._name} {self._closed}")

    def _hand_over(self) -> None:
        queue = self._queue
        if not queue or self._worker is None:
            return
        batch = _Batch(queue, self._waiting_bytes - self._handed_over_bytes, self._loop.time())
        self._queue = []
        self._handed_over += len(queue)
        self._handed_over_bytes += batch.bytes
        self._batches.append(batch)
        self._worker.put(batch.operations)

    # Told by the thread, on the event loop

    def opened(self, error: Exception | None) -> None:
        """The file is open, or why it is not."""
        if self._opened.done():
            return
        if error is None:
            self._opened.set_result(None)
        else:
            self._opened.set_exception(error)

    def done(self, operations: Sequence[Operation], error: str | None, batches: int) -> None:
        """These were committed, or failed; so many of the batches are finished."""
        self._failing = error is not None
        self._stalled = False
        for _ in range(batches):
            batch = self._batches.popleft()
            self._handed_over -= len(batch.operations)
            self._handed_over_bytes -= batch.bytes
            self._waiting_bytes -= batch.bytes
        if error is not None:
            for one in operations:
                fail(one, f"{self._name}: {error}")
            return
        try:
            deliver = self._deliver
            for one in operations:
                if type(one) is Append and one.fresh:
                    deliver(one.outcome)  # type: ignore[arg-type]
        finally:
            for one in operations:
                one.resolve()

    def ended(self, error: BaseException | None) -> None:
        """The thread has ended."""
        if error is not None:
            self._refuse(f"has failed: its thread has died ({error!r})")
        self._fail_all("was not done before the end")
        if not self._ended.done():
            self._ended.set_result(None)

    # When nothing comes back

    def _refuse(self, why: str) -> None:
        if self._closed is None:
            self._closed = why
        if self._timer is not None:
            self._timer.cancel()

    def _fail_all(self, why: str) -> None:
        for one in [*self._queue, *(one for batch in self._batches for one in batch.operations)]:
            fail(one, f"{self._name} {self._closed or why}")
        self._queue.clear()

    def _look(self) -> None:
        now = self._loop.time()
        if self._batches and not self._stalled and now - self._batches[0].since >= STALLED:
            _logger.error("%s has not answered for %.0f s", self._name, STALLED)
            self._stalled = True
            self._fail_all("does not answer")
        self._timer = self._loop.call_later(LOOK, self._look)
