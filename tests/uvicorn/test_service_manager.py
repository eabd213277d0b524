"""What systemd hears of a server: sd_notify(3), as a real process says it to a real socket."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import HUBBUB, running

from hubbub.uvicorn.service_manager import READY, notify

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})
"""


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(30)

    def hears(self) -> str:
        return self.socket.recv(100).decode()

    def heard(self) -> list[str]:
        """All that waits."""
        self.socket.setblocking(False)
        said = []
        while True:
            try:
                said.append(self.hears())
            except BlockingIOError:
                return said


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    with tempfile.TemporaryDirectory() as folder:  # a path of a Unix socket is short
        manager = Manager(f"{folder}/notify" if request.param == "path" else f"@{folder}")
        with manager.socket:
            yield manager


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_hears_when_the_server_takes_clients_and_when_it_ends(
    manager: Manager, workers: str, tmp_path: Path
) -> None:
    (tmp_path / "quiet.py").write_text(APP)
    command = [*HUBBUB, "run", "quiet:app", "--workers", workers, "--drain", "1"]
    with running(command, tmp_path / "log", {"NOTIFY_SOCKET": manager.name}, folder=tmp_path):
        for _ in range(int(workers)):
            assert manager.hears() == "READY=1"
    assert set(manager.heard()) == {"STOPPING=1"}


def test_a_manager_that_does_not_listen_or_is_gone_harms_nobody(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.name)
    for _ in range(10_000):  # more than its queue takes
        notify(READY)
    assert 0 < len(manager.heard()) < 10_000
    monkeypatch.setenv("NOTIFY_SOCKET", "vsock:2:1234")
    notify(READY)
    assert manager.heard() == []
    monkeypatch.setenv("NOTIFY_SOCKET", manager.name)
    manager.socket.close()
    notify(READY)
