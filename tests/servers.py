"""Apps of `tests/apps` on the ASGI servers that there are, each in a process of its own."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polling import DEADLINE
from ports import free_port
from server_process import START_SECONDS, ServerProcess, started

APPS = Path(__file__).parent / "apps"

COMMANDS = {
    "uvicorn": "uvicorn {app} --host 127.0.0.1 --port {port}",
    "hubbub": "uvicorn {app} --host 127.0.0.1 --port {port} --ws hubbub.uvicorn:WebSocketProtocol",
    "hypercorn": "hypercorn {app} --bind 127.0.0.1:{port}",
    "granian": "granian {app} --interface asgi --host 127.0.0.1 --port {port}",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    kind: str
    _server: ServerProcess

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Its process, or the first of its processes."""
        return self._server.process

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    @property
    def ws(self) -> str:
        """What WebSocket URLs begin with."""
        return self._server.ws("")

    @property
    def log(self) -> str:
        """Everything that the server has written."""
        return self._server.log()

    def get(self, path: str, method: str = "GET") -> Any:
        """The JSON that an HTTP path answers with. Does not wait for a server that is busy for long."""
        request = urllib.request.Request(f"{self._server.origin}{path}", method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return json.load(response)

    def memory(self, field: str = "VmRSS") -> int:
        """Bytes of memory that the process has resident now, or at most had (``VmHWM``)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) * 1024

    def stop(self) -> None:
        """End it as a deploy does (SIGTERM). Fails if it does not end by itself."""
        self._server.stop()

    def wait_until_it_answers(self) -> None:
        """Return when ``/state`` answers. Fails if the server ends, or takes `START_SECONDS`."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.get("/state")
                return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{self.kind} does not answer:\n{self.log}") from None
                time.sleep(0.02)


@contextlib.contextmanager
def serving(
    app: str,
    folder: Path,
    kind: str = "uvicorn",
    options: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Start an app of `tests/apps` on a server, wait until it answers, and stop it at the end.

    Args:
        app: like ``"hub_app:app"``. It answers on ``/state``.
        folder: for the server's log.
        kind: one of `COMMANDS`.
        options: more options for the server's command.
        environment: added to that of the tests.
    """
    port = free_port()
    command = [sys.executable, "-m", *f"{COMMANDS[kind].format(app=app, port=port)} {options}".split()]
    with started(command, port, folder / f"{kind}-{port}.log", environment, APPS) as process:
        server = Server(kind, process)
        server.wait_until_it_answers()
        yield server
