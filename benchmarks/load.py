"""The load generator as the harness drives it: start it, wait until it is ready, let it go."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.process import pinned


class LoadError(Exception):
    """The load generator could not do its part; the text is its own."""


class Load:
    """One run of the load generator. A context manager: leaving it ends the process."""

    def __init__(self, program: Path, arguments: Sequence[str], port: int, core: int | None) -> None:
        with pinned(core):
            self._process = subprocess.Popen(
                [str(program), "--port", str(port), "--wait", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def __enter__(self) -> "Load":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def ready(self) -> dict[str, Any]:
        """Waits until all connections are open and the server is warm. Raises LoadError."""
        return self._read("ready")

    def go(self) -> dict[str, Any]:
        """Lets the measured phase begin, and waits for its figures. Raises LoadError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise LoadError("it ended before the measured phase") from error
        return self._read("done")

    def _read(self, event: str) -> dict[str, Any]:
        # The load generator ends by itself (--timeout, and an alarm behind it), so this ends.
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            raise LoadError(
                errors.strip() or f"ended with code {self._process.returncode} before it was {event}"
            )
        found: dict[str, Any] = json.loads(line)
        return found
