"""One Valkey for all workers of a folder: one of them supervises it, the others stand by to take over."""

import asyncio
import logging
import time
from pathlib import Path

from hubbub.brokers.embedded_log import ServerLog
from hubbub.brokers.embedded_server import Control, Fsync, Server, ServerFiles, binary
from hubbub.brokers.file_lock import FileLock
from hubbub.core.errors import BrokerError

READY = 30.0
"""Seconds until a start is given up. A Valkey that has much to load takes a while."""

LOOK = 0.5
"""Seconds between two looks: is the place of the supervisor free, does Valkey answer, what does it log."""

FLUSH = 1.0
"""Seconds between two flushes of Valkey's data to the disk."""

ENDING = 10.0
"""Seconds in which Valkey ends by itself when it is asked to."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds until a Valkey that has ended at once is started again; doubled each time."""

_logger = logging.getLogger("hubbub")


class ValkeyProcess:
    """A worker's part in keeping the Valkey of a folder running.

    The worker that has the lock ``supervisor.lock`` starts Valkey, and starts it again when it dies or
    freezes. If that worker dies, Valkey goes on, and another worker takes the lock. Every worker shares the
    lock ``workers.lock`` while it runs; the one that stops last finds itself alone with it, and ends Valkey.
    If all workers are killed, Valkey goes on alone until the next start adopts it.

    Args:
        folder: of its data and locks.
        fsync: see `Server`.

    Raises:
        ConfigurationError: if this platform has no Valkey.
    """

    def __init__(self, folder: Path, fsync: Fsync = "everysec") -> None:
        self.folder = folder
        self._program = binary()
        self._fsync: Fsync = fsync
        self._server: Server | None = None  # None while stopped
        self._supervisor: FileLock | None = None
        self._workers: FileLock | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._pause = FIRST_PAUSE

    @property
    def supervises(self) -> bool:
        """Whether this worker is the one that starts Valkey when it dies."""
        return self._supervisor is not None and self._supervisor.held

    @property
    def runs(self) -> bool:
        """Whether this worker does its part."""
        return self._task is not None and not self._task.done()

    async def start(self) -> Path:
        """See that Valkey runs, and keep it running; returns the path of its socket.

        Raises:
            ConfigurationError: if the folder cannot be used.
            BrokerError: if Valkey does not get ready.
        """
        files = ServerFiles(self.folder)
        self._server = Server(files, self._fsync)
        self._supervisor = FileLock(files.folder / "supervisor.lock")
        self._workers = FileLock(files.folder / "workers.lock")
        self._ready.clear()
        try:
            async with asyncio.timeout(READY):
                await self._enter(self._workers)
                log = ServerLog(files.log)
                self._task = asyncio.create_task(self._keep(self._server, self._supervisor, log))
                self._task.add_done_callback(self._report)
                await self._ready.wait()
        except TimeoutError:
            await self.stop()
            raise BrokerError(f"Valkey did not get ready in {READY:.0f} s; see {files.log}") from None
        except BaseException:
            await self.stop()
            raise
        if not self.runs:
            await self.stop()
            raise BrokerError("the supervision of Valkey has failed")
        return files.socket

    async def stop(self) -> None:
        """Leave Valkey to the other workers; end it if there are none."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        server, self._server = self._server, None
        self._ready.clear()
        if server is None or self._workers is None or self._supervisor is None:
            return
        self._workers.release()
        try:
            if self._workers.acquire():
                await server.stop(ENDING)
        finally:
            self._supervisor.release()
            self._workers.release()

    async def _enter(self, workers: FileLock) -> None:
        """Share the workers' lock; while somebody ends the last Valkey, wait."""
        while True:
            if workers.acquire(shared=True):
                return
            await asyncio.sleep(0.02)

    async def _keep(self, server: Server, supervisor: FileLock, log: ServerLog) -> None:
        while True:
            try:
                supervisor.acquire()
                control = await Control.connect(server.files.socket)
                if control is None:
                    await self._revive(server, supervisor, log)
                    continue
            except TimeoutError:
                self._replace(server, supervisor)
                continue
            except OSError as error:
                _logger.error("Valkey in %s cannot be started: %s", server.files.folder, error)
                await asyncio.sleep(LONGEST_PAUSE)
                continue
            try:
                await self._watch(server, supervisor, control, log)
            except TimeoutError:
                self._replace(server, supervisor)
            except OSError:
                pass  # lost, which the next turn finds out for itself
            finally:
                self._ready.clear()
                await control.close()

    def _replace(self, server: Server, supervisor: FileLock) -> None:
        """It does not answer any more."""
        _logger.error("Valkey in %s does not answer", server.files.folder)
        if supervisor.held:
            server.kill()

    async def _revive(self, server: Server, supervisor: FileLock, log: ServerLog) -> None:
        """Nobody answers: start a Valkey if that is this worker's part, and wait a little."""
        if not supervisor.held:
            await asyncio.sleep(LOOK)
            return
        log.tell()
        if server.launch(self._program):
            _logger.info("started Valkey in %s", server.files.folder)
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            await asyncio.sleep(FIRST_PAUSE)

    async def _watch(self, server: Server, supervisor: FileLock, control: Control, log: ServerLog) -> None:
        """Until it is lost; raises TimeoutError when it has frozen."""
        supervised, flushed = False, time.monotonic()
        while True:
            if supervisor.acquire() and not supervised:
                supervised = True
                _logger.info("supervising Valkey in %s", server.files.folder)
                await server.configure(control)
            self._ready.set()
            self._pause = FIRST_PAUSE
            if supervised:
                log.tell()
                if time.monotonic() >= flushed + FLUSH:
                    await asyncio.to_thread(server.flush)
                    flushed = time.monotonic()
            if await control.lost_within(LOOK):
                _logger.warning("Valkey in %s has ended", server.files.folder)
                return
            await control.ask(b"PING")

    def _report(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _logger.critical("the supervision of Valkey has failed", exc_info=task.exception())
            self._ready.set()  # start() need not wait any longer
