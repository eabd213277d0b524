"""Real ASGI servers as subprocesses, on a free port of the loopback interface."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APPS = Path(__file__).parent / "apps"
START_SECONDS = 30.0
STOP_SECONDS = 15.0

COMMANDS = {
    "uvicorn": "uvicorn {app} --host 127.0.0.1 --port {port}",
    "hubbub": "uvicorn {app} --host 127.0.0.1 --port {port} --ws hubbub.uvicorn:WebSocketProtocol",
    "hypercorn": "hypercorn {app} --bind 127.0.0.1:{port}",
    "granian": "granian {app} --interface asgi --host 127.0.0.1 --port {port}",
}


@dataclass(slots=True)
class Server:
    """A server that runs."""

    kind: str
    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def ws(self) -> str:
        """What WebSocket URLs begin with."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything that the server has written."""
        return self.log_file.read_text(errors="replace")

    def get(self, path: str, method: str = "GET") -> Any:
        """The JSON that an HTTP path answers with. Does not wait for a server that is busy for long."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)

    def memory(self, field: str = "VmRSS") -> int:
        """Bytes of memory that the process has resident now, or at most had (``VmHWM``)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) * 1024

    def stop(self) -> int:
        """End the server as a deploy does (SIGTERM); return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"{self.kind} did not stop within {STOP_SECONDS} s:\n{self.log[-2000:]}"
            ) from None


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = f"{COMMANDS[kind].format(app=app, port=port)} {options}".split()
    log = folder / f"{kind}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=APPS,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(kind, port, process, log)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        server.stop()


def _wait_until_it_answers(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            server.get("/state")
        except (urllib.error.URLError, OSError):
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{server.kind} does not answer:\n{server.log}") from None
            time.sleep(0.02)
        else:
            return
