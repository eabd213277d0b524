"""`hubbub serve` in a process of its own, which a test may kill and start again on the same port."""

import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ports import free_port
from server_process import START_SECONDS, ServerProcess, environment_of

COMMAND = [sys.executable, "-c", "from hubbub.server.cli import main; main()", "serve"]


class HubbubServer:
    """The server, and the folder it runs in."""

    def __init__(
        self, folder: Path, *, keeps: bool = False, drain: float = 0, talkative: bool = False
    ) -> None:
        """With `keeps` it has a SQLite file, and knows its rooms again when it is started again. With
        `talkative` it has no rates: one may say in a second what people say in an hour."""
        self.port = free_port()
        self._command = [*COMMAND, "--port", str(self.port), "--drain", str(drain)]
        if talkative:
            self._command.append("--no-protection")
        given = {"HUBBUB_API_KEY": secrets.token_urlsafe(32)}
        if keeps:
            given["HUBBUB_BROKER"] = f"sqlite:///{folder}/hub.db"
        self._environment = environment_of(given)
        self._folder = folder
        self._process: ServerProcess | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and returns when it listens."""
        log_file = self._folder / "serve.log"
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        self._process = ServerProcess(process, self.port, log_file)
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            assert process.poll() is None, self._process.log()
            assert time.monotonic() < deadline, self._process.log()
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Ends it as a deploy does."""
        if self._process:
            self._process.stop(signal.SIGTERM)

    def ask(self, *arguments: str) -> str:
        """What another command, which talks to it, prints."""
        command = [*COMMAND[:-1], *arguments, "--url", self.origin]
        return subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ).stdout

    def kill(self) -> None:
        """Ends it as a crash would: no goodbye to anybody."""
        if self._process:
            self._process.stop(signal.SIGKILL)

    def freeze(self) -> None:
        """It stays, and answers nothing."""
        assert self._process
        self._process.process.send_signal(signal.SIGSTOP)
