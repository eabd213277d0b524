"""The real command under test: ``hubbub run app:app``, with its processes by their ids."""

import json
import os
import secrets
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from server_process import HUBBUB, START_SECONDS, ServerProcess, running

HERE = Path(__file__).parent

SECRET = secrets.token_urlsafe(32)
"""Of the tokens, for all nodes that these tests start."""


@contextmanager
def nodes(
    broker: str,
    folder: Path,
    workers: int = 2,
    name: str = "nodes",
    *,
    drain: float = 0,
    port: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """Run the app on a broker; all its workers answer.

    Args:
        broker: its URL.
        folder: for the log.
        workers: how many processes.
        name: of the log's file.
        drain: seconds over which clients are closed after SIGTERM.
        port: where it listens; a free one unless given.
        environment: more of it.
    """
    command = [*HUBBUB, "run", "app:app"]
    options = ["--workers", str(workers), "--drain", str(drain), "--log-level", "info"]
    log = folder / f"{name}.log"
    variables = {"HUBBUB_TEST_BROKER": broker, "HUBBUB_TEST_SECRET": SECRET, **(environment or {})}
    with running([*command, *options], log, variables, port, HERE) as server:
        server.secret(SECRET)
        wait_for_workers(server, workers)
        yield server


def wait_for_workers(server: ServerProcess, count: int) -> set[int]:
    """Wait until so many processes answer; return their ids."""
    found: set[int] = set()
    deadline = time.monotonic() + START_SECONDS
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {found} answer:\n{server.log()}"
        try:
            with urllib.request.urlopen(f"{server.origin}/state", timeout=START_SECONDS) as answer:
                found.add(json.load(answer)["pid"])
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    return found


def kill(pid: int) -> None:
    """End a process as a crash does: it runs no line of its code any more."""
    os.kill(pid, signal.SIGKILL)
