"""The SQLite broker's thread: takes what waits, does it in one transaction, and hands it back at once."""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from hubbub.brokers.file_lock import FileLock
from hubbub.brokers.sqlite_operations import Operation, Read, Write
from hubbub.brokers.sqlite_schema import Synchronous, check_path
from hubbub.brokers.sqlite_store import Bounds, Store
from hubbub.core.errors import BrokerError, ConfigurationError

TRANSACTION = 1_000
"""Operations done in one transaction: handing back more would hold up the event loop."""

PAGES = 2_000
"""Publications of history pages handed back at once."""

SAVE_AFTER = 5.0
SWEEP_AFTER = 10.0
IDLE = 1.0
"""Seconds until the journal is saved when it is not full, until the next sweep, and between looks at both."""

_logger = logging.getLogger("hubbub")


class Results(Protocol):
    """What the thread tells, on the event loop."""

    def opened(self, error: Exception | None) -> None:
        """The file is open, or why it is not; then the thread has ended."""
        ...

    def done(self, operations: Sequence[Operation], error: str | None, batches: int) -> None:
        """These were committed, or failed; so many of the batches that were put are now finished."""
        ...

    def ended(self, error: BaseException | None) -> None:
        """The thread has ended and the file is closed; with an error if that was not asked for."""
        ...


class StoreThread:
    """Owns the file while it runs: its lock, its connection, and the order of what is done with it.

    Args:
        path: the file.
        synchronous: what a commit waits for.
        bounds: of the file.
        clock: seconds since the Unix epoch.
        results: told on `loop`.
        loop: the event loop.
    """

    def __init__(
        self,
        path: Path,
        synchronous: Synchronous,
        bounds: Bounds,
        clock: Callable[[], float],
        results: Results,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._path = path.resolve()
        self._synchronous: Synchronous = synchronous
        self._bounds = bounds
        self._clock = clock
        self._results = results
        self._loop = loop
        self._lock = FileLock(self._path.with_name(self._path.name + ".lock"))
        self._inbox: queue.SimpleQueue[list[Operation] | None] = queue.SimpleQueue()
        self._asked_to_end = False
        self._failing = False
        self._patience = IDLE  # seconds to wait for work
        self._unsaved_since = self._swept_at = time.monotonic()
        threading.Thread(target=self._run, name=f"hubbub {path.name}", daemon=True).start()

    def put(self, batch: list[Operation]) -> None:
        """Have these done, after everything that was put before."""
        self._inbox.put(batch)

    def end(self) -> None:
        """Do what was put, and end."""
        self._inbox.put(None)

    # On the thread

    def _run(self) -> None:
        try:
            store = self._open()
        except Exception as error:  # noqa: BLE001  (start() raises it)
            self._lock.release()
            self._tell(partial(self._results.opened, error))
            return
        self._tell(partial(self._results.opened, None))
        failure: BaseException | None = None
        try:
            self._serve(store)
        except BaseException as error:  # whatever it was: those who wait must hear of it
            _logger.critical("the thread of %s has died", self._path, exc_info=error)
            failure = error
        self._close(store)
        self._lock.release()
        self._tell(partial(self._results.ended, failure))

    def _open(self) -> Store:
        check_path(self._path)
        try:
            locked = self._lock.acquire()
        except OSError as error:
            raise ConfigurationError(
                f"The lock file {self._lock.path} cannot be used: {error.strerror}"
            ) from error
        if not locked:
            raise BrokerError(
                f"{self._path} is in use by another process. A SQLite file is for one process: with several "
                "workers, use embedded:// or redis://"
            )
        return Store(self._path, self._synchronous, self._bounds)

    def _close(self, store: Store) -> None:
        try:
            store.close(self._clock())
        except (BrokerError, sqlite3.Error) as error:
            _logger.error(
                "%s was closed without being saved: its journal is read at the next start: %s",
                self._path,
                error,
            )

    def _serve(self, store: Store) -> None:
        while not self._asked_to_end:
            batches = self._next_batches()
            if batches:
                self._do(store, batches)
            self._tidy(store, idle=not batches)

    def _next_batches(self) -> list[list[Operation]]:
        """What waits, as far as it fits into one transaction; nothing after a while without work."""
        batches: list[list[Operation]] = []
        count = 0
        try:
            while count < TRANSACTION:
                batch = self._inbox.get_nowait() if batches else self._inbox.get(timeout=self._patience)
                if batch is None:
                    self._asked_to_end = True
                    break
                batches.append(batch)
                count += len(batch)
        except queue.Empty:
            pass
        return batches

    def _do(self, store: Store, batches: list[list[Operation]]) -> None:
        writes: list[Write] = []
        reads: list[Read] = []
        for batch in batches:
            for one in batch:
                if isinstance(one, Read):
                    reads.append(one)
                else:
                    writes.append(one)
        if writes:
            self._write(store, writes, 0 if reads else len(batches))
        if reads:
            self._read(store, reads, len(batches))

    def _write(self, store: Store, writes: list[Write], batches: int) -> None:
        failed: str | None = None
        try:
            store.write(writes, self._clock())
        except BrokerError as error:
            failed = str(error)
        self._note(failed)
        self._tell(partial(self._results.done, writes, failed, batches))

    def _read(self, store: Store, reads: list[Read], batches: int) -> None:
        """After the writes, so that whoever published finds it."""
        done: list[Read] = []
        pages = 0
        for one in reads:
            store.read(one)
            done.append(one)
            pages += 0 if isinstance(one.outcome, BrokerError | None) else len(one.outcome.publications)
            if pages >= PAGES:
                self._tell(partial(self._results.done, done, None, 0))
                done, pages = [], 0
        self._tell(partial(self._results.done, done, None, batches))

    def _tidy(self, store: Store, idle: bool) -> None:
        """What is done now and then: save the journal, sweep, see whether a full disk has room again."""
        now = time.monotonic()
        if not store.unsaved:
            self._unsaved_since = now
        try:
            if self._failing:
                if not idle:
                    return
                store.probe()
                self._note(None)
                self._tell(partial(self._results.done, (), None, 0))
            elif now - self._unsaved_since >= SAVE_AFTER:
                self._unsaved_since = now
                store.save(self._clock())
            elif now - self._swept_at >= SWEEP_AFTER:
                self._sweep(store, now)
        except BrokerError as error:
            self._patience = IDLE
            self._note(str(error))
            self._tell(partial(self._results.done, (), str(error), 0))

    def _sweep(self, store: Store, now: float) -> None:
        """One step; the next one follows as soon as nobody waits, until there is nothing to do."""
        if store.sweep(self._clock()):
            self._patience = 0.0
        else:
            self._patience, self._swept_at = IDLE, now

    def _note(self, failed: str | None) -> None:
        if failed and not self._failing:
            _logger.error("%s: %s", self._path, failed)
        self._failing = bool(failed)

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:  # the loop was closed without stop()
            self._asked_to_end = True
