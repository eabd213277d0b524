"""Apps of the documentation, written to a folder and run there by the command that a reader would give."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ports import free_port

STARTED = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
DEADLINE = 25.0
"""Seconds that one step may take. It is no promise: the machine may be busy with others."""

SECRET = "a secret of the documentation's tests, long enough"
API_KEY = "the documentation's key"


class RunningApp:
    """`uvicorn main:app` in a folder, on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._started.clear()
        environment = os.environ | {"HUBBUB_SECRET": SECRET, "HUBBUB_API_KEY": API_KEY}
        command = ("-m", "uvicorn", "main:app", "--host", "127.0.0.1", "--port", str(self.port))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reader = asyncio.create_task(self._read())
        waiting = asyncio.create_task(self._started.wait())
        await asyncio.wait((waiting, self._reader), timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert self._started.is_set(), f"the app did not start:\n{self.log}"

    async def stop(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), DEADLINE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError(f"the app did not stop:\n{self.log}") from None
        await self._reader

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode(errors="replace")
            self.log += text
            if found := STARTED.search(text):
                self.port = int(found[1])
                self._started.set()


@asynccontextmanager
async def running_app(folder: Path) -> AsyncIterator[RunningApp]:
    """The app in ``main.py`` of the folder, until the end of the block."""
    app = RunningApp(folder)
    await app.start()
    try:
        yield app
    finally:
        await app.stop()
