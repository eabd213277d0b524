"""A server in a process of its own, on a free port of the loopback interface, with its log."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from polling import DEADLINE
from ports import free_port

ROOT = Path(__file__).resolve().parent.parent
UVICORN = (sys.executable, "-m", "uvicorn")
HUBBUB = (str(Path(sys.executable).with_name("hubbub")),)
TOKEN = re.compile(r"eyJ[\w-]{15,}\.eyJ")
"""Where a JSON Web Token begins: both its header and its claims are JSON in base64."""

SECRETS = ("HUBBUB_SECRET", "HUBBUB_API_KEY", "HUBBUB_ADMIN_KEY", "HUBBUB_METRICS_KEY")
"""Variables whose values no server may ever log."""

START_SECONDS = 30.0
STOP_SECONDS = 15.0


class ServerProcess:
    """A running server: where it is, what it has logged, and what must never be in that log."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log_file: Path) -> None:
        self.process = process
        self.port = port
        self._log_file = log_file
        self._secrets: list[str] = []

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return f"http://127.0.0.1:{self.port}"

    def ws(self, path: str) -> str:
        """The URL of a WebSocket route."""
        return f"ws://127.0.0.1:{self.port}{path}"

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A client for its HTTP routes."""
        # Without TLS there are no certificates to load, which would take longer than the requests.
        return httpx.AsyncClient(base_url=self.origin, verify=False, **{"timeout": DEADLINE, **options})

    def log(self) -> str:
        """What it has printed so far."""
        return self._log_file.read_text(errors="replace")

    def secret(self, text: str) -> str:
        """Give the text back, and remember that it must not be in the log."""
        self._secrets.append(text)
        return text

    def check_log(self) -> None:
        """Fail if the log has a traceback or one of the secrets."""
        complaints = log_complaints(self.log(), self._secrets)
        assert not complaints, "\n".join(complaints)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, within: float = STOP_SECONDS) -> float:
        """End the process; returns the seconds it took. Fails if it does not end by itself, and kills it."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            late = f"not ended {within} s after {with_signal.name}"
            raise AssertionError(f"{late}:\n{self.log()[-4_000:]}") from None
        return time.monotonic() - started


def log_complaints(log: str, secrets: Sequence[str]) -> list[str]:
    """Why a log is not clean: its tracebacks, and the lines with a secret, the last part of one, or a JWT."""
    found = [f"a token is in the log: {line[:300]}" for line in log.splitlines() if TOKEN.search(line)]
    found += [f"traceback in the log: {log[log.index('Traceback') :][:3_000]}"] if "Traceback" in log else []
    for secret in secrets:
        # Servers cut long messages in the middle: the end alone would be a leak as well.
        for piece in {secret, secret[-24:]}:
            found += [f"{piece!r} is in the log: {line[:300]}" for line in log.splitlines() if piece in line]
    return found


def environment_of(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tests' own environment without settings of Hubbub, and with these. Servers keep nothing."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}
    ours = {"PYTHONUNBUFFERED": "1", "HUBBUB_BROKER": "memory://", "HUBBUB_LOG_FORMAT": "text"}
    return {**inherited, **ours, **(changes or {})}


@contextmanager
def started(
    command: Sequence[str], port: int, log_file: Path, environment: Mapping[str, str] | None, folder: Path
) -> Iterator[ServerProcess]:
    """Run the command, which listens on that port, in the folder until the end of the block."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment_of(environment), stdout=log, stderr=subprocess.STDOUT
        )
    server = ServerProcess(process, port, log_file)
    try:
        _wait_until_listening(server)
        yield server
    finally:
        server.stop()


@contextmanager
def running(
    command: Sequence[str],
    log_file: Path,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
    folder: Path = ROOT,
) -> Iterator[ServerProcess]:
    """Run ``COMMAND --port N`` in the folder until the end of the block; its log must be clean then.

    Args:
        command: the server's.
        log_file: for what it prints.
        environment: added to that of the tests.
        port: a free one unless given.
        folder: the process' working directory, where `hubbub serve` keeps its data.
    """
    port = port or free_port()
    with started([*command, "--port", str(port)], port, log_file, environment, folder) as server:
        for name in SECRETS:
            for secret in (environment or {}).get(name, "").split():
                server.secret(secret)
        yield server
    server.check_log()


def _wait_until_listening(server: ServerProcess) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log()}")
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"not listening after {START_SECONDS} s:\n{server.log()}")
