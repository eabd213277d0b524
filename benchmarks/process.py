"""A server process: started on one core, watched for its CPU time and memory, ended by its own id."""

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

from benchmarks.places import LOGS, ROOT

START_SECONDS = 30.0
STOP_SECONDS = 3.0
QUIET_SECONDS = 0.1


class StartError(Exception):
    """The server did not come up; the text says why, with the end of its log."""


def raise_file_limit() -> int:
    """Lifts the soft limit on open files to the hard one, which children inherit. Returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cores() -> tuple[int | None, int | None]:
    """The core for the server and the one for the load generator; None, None where there are not two."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (None, None)


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Binds this process to a core, so that a child started inside inherits it with all its threads."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += _family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, that a process and its descendants have used, to the nanosecond.

    /proc/PID/stat counts in ticks of 10 ms, too coarse for a row of one second; the process's CPU clock is
    exact. Its id is made from the pid as Linux's clock_getcpuclockid(3) does.
    """
    total = 0.0
    for member in _family(pid):
        with contextlib.suppress(OSError):
            total += time.clock_gettime((~member << 3) | 2)
    return total


def machine_busy_seconds() -> float:
    """Core-seconds, since the machine's start, in which any process ran or the host took the core away."""
    user, nice, system, _, _, irq, softirq, steal, *_ = (
        Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory of the process and its descendants that is theirs alone (no shared libraries), in bytes."""
    total = 0
    for member in _family(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Private_Dirty:", "Private_Clean:")):
                    total += int(line.split()[1]) * 1024
    return total


class ServerProcess:
    """One server on 127.0.0.1, from its first accepted connection to its end. A context manager."""

    def __init__(
        self, name: str, argv: list[str], port: int, core: int | None, env: Mapping[str, str]
    ) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self._log = LOGS / f"{name}.log"
        self._port = port
        with pinned(core), self._log.open("wb") as log:
            # Its own session: a signal of the terminal is for the harness, which then ends the server itself.
            self._process = subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> "ServerProcess":
        try:
            self._wait_for_port()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise StartError(f"ended with code {self._process.returncode}: {self.log_tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.02)
        raise StartError(f"no connection within {START_SECONDS:.0f} s: {self.log_tail()}")

    def log_tail(self) -> str:
        """The last line of what the server wrote."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing"

    def cpu(self) -> float:
        """CPU seconds so far, see cpu_seconds."""
        return cpu_seconds(self._process.pid)

    def memory(self) -> int:
        """Memory in bytes now, see resident_bytes."""
        return resident_bytes(self._process.pid)

    def settle(self, limit: float = 5.0) -> None:
        """Waits until the server does nothing any more, at most `limit` seconds."""
        deadline = time.monotonic() + limit
        before = self.cpu()
        while time.monotonic() < deadline:
            time.sleep(QUIET_SECONDS)
            now = self.cpu()
            if now - before < QUIET_SECONDS / 50:
                return
            before = now

    def stop(self) -> None:
        """Ends the server and waits for it; one that does not end when asked is killed."""
        family = _family(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            self._process.wait()
