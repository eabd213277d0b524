"""The file of the SQLite broker: what it has after a restart and after a fault, and who may use it."""

import asyncio
import contextlib
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from broker_node import KEEP, Node
from hands import Hands
from polling import eventually
from sqlite_nodes import LARGE, read_all, running

from hubbub import BrokerError, ConfigurationError, HistoryGone, Position
from hubbub.brokers import sqlite_link, sqlite_store
from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.brokers.sqlite_schema import APPLICATION, VERSION

PUBLISHER = Path(__file__).with_name("sqlite_publisher.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest_asyncio.fixture
async def node(path: Path) -> AsyncIterator[Node]:
    async with running(SqliteBroker(path)) as node:
        yield node


# Restarts


@pytest.mark.parametrize("synchronous", ["normal", "full"])
async def test_offsets_epoch_and_history_go_on_after_a_restart(path: Path, synchronous: str) -> None:
    url = f"sqlite:///{path}?synchronous={synchronous}"
    async with running(SqliteBroker.from_url(url)) as node:
        made = await node.fill(*"abc", history=LARGE)
        await node.broker.publish("s", b"\x00\xff", history=LARGE, tags={"kind": "news"}, publisher="ada")
    async with running(SqliteBroker.from_url(url)) as node:
        assert made[0].position is not None
        page = await node.broker.history("r", LARGE, since=made[0].position, limit=None, reverse=False)
        assert list(page.publications) == made[1:]
        (later,) = await node.fill("d", history=LARGE)
        assert later.position == Position(made[0].position.epoch, 4)
        (other,) = (await node.broker.history("s", LARGE, since=None, limit=None, reverse=False)).publications
        assert (other.payload, other.publisher, other.tags) == (b"\x00\xff", "ada", {"kind": "news"})


async def test_idempotency_keys_claims_and_removals_survive_a_restart(path: Path) -> None:
    hands = Hands()
    async with running(SqliteBroker(path, clock=hands)) as node:
        first = await node.broker.publish("r", "a", history=KEEP, idempotency_key="k")
        plain = await node.broker.publish("p", "a", idempotency_key="k")
        await node.broker.remove_history("r")
        assert await node.broker.claim("ticket", 60.0)
    hands.time += 50.0
    async with running(SqliteBroker(path, clock=hands)) as node:
        again = await node.broker.publish("r", "a", history=KEEP, idempotency_key="k")
        assert (again.position, again.time) == (first.position, first.time)
        assert (await node.broker.publish("p", "a", idempotency_key="k")).time == plain.time
        assert node.delivered == []
        assert await read_all(node) == []
        assert not await node.broker.claim("ticket", 60.0)
        hands.time += 10.0
        assert await node.broker.claim("ticket", 60.0)
        hands.time += IDEMPOTENCY_WINDOW - 60.0
        later = await node.broker.publish("r", "b", history=KEEP, idempotency_key="k")
        assert first.position is not None
        assert later.position == Position(first.position.epoch, 2)


async def test_an_empty_room_has_the_same_epoch_after_a_restart(path: Path) -> None:
    async with running(SqliteBroker(path)) as node:
        before = await node.broker.subscribe("r", KEEP)
    async with running(SqliteBroker(path)) as node:
        (first,) = await node.fill("a")
    assert before is not None
    assert first.position == Position(before.epoch, 1)


def start_publisher(
    path: Path, count: int, journal: int = sqlite_store.JOURNAL_ENTRIES
) -> subprocess.Popen[str]:
    """The program of `sqlite_publisher`, with a journal of so many entries."""
    program = (
        "import runpy, sys; from hubbub.brokers import sqlite_store; "
        f"sqlite_store.JOURNAL_ENTRIES = {journal}; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    )
    command = [sys.executable, "-c", program, PUBLISHER, path, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("journal", [sqlite_store.JOURNAL_ENTRIES, 50], ids=["journal", "tables"])
async def test_every_acknowledged_publish_survives_kill_9(
    path: Path, journal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start_publisher(path, 10_000, journal)
    assert child.stdout is not None
    acknowledged: dict[int, str] = {}
    assert child.stdout.readline() == "started\n"
    for line in child.stdout:
        if line.endswith("\n"):
            offset, payload = line.split()
            acknowledged[int(offset)] = payload
        if len(acknowledged) == 5_000:
            child.kill()
    child.wait()
    child.stdout.close()
    assert 5_000 <= len(acknowledged) < 10_000
    async with running(SqliteBroker(path)) as node:
        kept = dict(await read_all(node))
        assert {offset: kept.get(offset) for offset in acknowledged} == acknowledged
        assert list(kept) == list(range(1, len(kept) + 1))
        assert len(set(kept.values())) == len(kept)
        again = await node.broker.publish("r", "x", history=LARGE, idempotency_key=acknowledged[1])
        assert again.position is not None
        assert again.position.offset == 1
        (later,) = await node.fill("after")
        assert later.position == Position(again.position.epoch, len(kept) + 1)


# Who may use the file


async def test_a_second_process_on_the_same_file_is_refused_until_the_first_has_ended(path: Path) -> None:
    child = start_publisher(path, 0)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        broker = SqliteBroker(path)
        with pytest.raises(BrokerError, match="in use by another process"):
            await broker.start(Node(broker))
        assert not broker.connected
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    async with running(broker) as node:
        assert await node.fill("a")


async def test_files_are_made_for_their_owner_alone(node: Node, path: Path) -> None:
    await node.fill("a")
    made = sorted(path.parent.iterdir())
    assert {one.name for one in made} >= {"chat.db", "chat.db-wal", "chat.db.lock"}
    assert {stat.S_IMODE(one.stat().st_mode) for one in made} == {0o600}


def make_newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def make_foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photos (name)")


def content(path: Path) -> bytes | None:
    return None if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (make_newer, ConfigurationError, "newer version of Hubbub"),
        (make_foreign, ConfigurationError, "another program"),
        (lambda path: path.write_bytes(b"not a database at all" * 500), BrokerError, "not a database"),
        (lambda path: path.mkdir(), ConfigurationError, "is a folder"),
    ],
    ids=["newer", "foreign", "damaged", "folder"],
)
async def test_a_file_that_cannot_be_used_is_refused_and_left_as_it_is(
    path: Path, make: Callable[[Path], object], error: type[Exception], said: str
) -> None:
    make(path)
    before = content(path)
    broker = SqliteBroker(path)
    with pytest.raises(error, match=said):
        await broker.start(Node(broker))
    assert not broker.connected
    assert content(path) == before
    await broker.stop()


@pytest.mark.parametrize(
    ("path", "said"), [("/nowhere/chat.db", "does not exist"), ("/proc/chat.db", "cannot be written")]
)
async def test_a_place_that_cannot_be_used_is_told(path: str, said: str) -> None:
    broker = SqliteBroker(path)
    with pytest.raises(ConfigurationError, match=said):
        await broker.start(Node(broker))


async def test_a_broker_that_runs_cannot_be_started_again(node: Node) -> None:
    with pytest.raises(BrokerError, match="already"):
        await node.broker.start(node)
    assert await node.fill("a")


# Faults


@contextlib.contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """No file of this process grows beyond that size: like a full disk, without being root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_on_a_full_disk_publishes_fail_and_nothing_of_them_is_delivered(node: Node) -> None:
    await node.fill("before", history=LARGE)
    with files_limited_to(300_000):
        results = []
        for number in range(20):
            publishes = [node.fill(f"{number} {'x' * 5_000}", history=LARGE) for _ in range(20)]
            results += await asyncio.gather(*publishes, return_exceptions=True)
        assert not node.broker.connected
        assert {type(one) for one in results} == {list, BrokerError}
        assert len(node.delivered) == 1 + sum(isinstance(one, list) for one in results)
        assert await read_all(node) == [
            (one.position.offset, one.payload) for one in node.delivered if one.position
        ]
        await node.broker.publish("no history", "a")
    await eventually(lambda: node.broker.connected)
    (after,) = await node.fill("after", history=LARGE)
    assert after.position is not None
    assert after.position.offset == len(await read_all(node))


async def test_the_death_of_the_thread_fails_what_waits_and_a_new_start_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = SqliteBroker(path)
    node = Node(broker)
    await broker.start(node)
    await node.fill("a")
    assert broker._link is not None
    assert broker._link._worker is not None
    broker._link._worker.put([object()])  # type: ignore[list-item]
    results = await asyncio.gather(*(node.fill("lost") for _ in range(5)), return_exceptions=True)
    assert {type(one) for one in results} == {BrokerError}
    assert not broker.connected
    with pytest.raises(BrokerError, match="died"):
        await broker.publish("no history", "a")
    assert "has died" in caplog.text
    await broker.stop()
    await broker.start(node)
    await node.fill("b")
    assert await read_all(node) == [(1, "a"), (2, "b")]
    await broker.stop()


async def test_a_disk_that_does_not_answer_is_noticed_and_comes_back(
    node: Node, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_link, "STALLED", 0.05)
    monkeypatch.setattr(sqlite_link, "LOOK", 0.01)
    assert isinstance(node.broker, SqliteBroker)
    assert node.broker._link is not None
    node.broker._link._look()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerError, match="does not answer"):
            await node.fill("a")
        assert not node.broker.connected
        with pytest.raises(BrokerError, match="does not answer"):
            await node.fill("b")
        other.execute("ROLLBACK")
    await eventually(lambda: node.broker.connected)
    await node.fill("c")
    assert [one.payload for one in node.delivered] == ["a", "c"]


async def test_publications_that_the_file_has_lost_are_told(path: Path) -> None:
    async with running(SqliteBroker(path)) as node:
        made = await node.fill(*"abcd")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM publications WHERE position = 2")
    async with running(SqliteBroker(path)) as node:
        with pytest.raises(BrokerError, match="damaged"):
            await read_all(node)
        with pytest.raises(HistoryGone, match="damaged"):  # who resumes begins anew, and tries not for ever
            await node.read(since=made[0].position)
        assert await node.read(since=made[1].position) == ["c", "d"]


async def test_a_backup_can_be_made_while_it_runs(node: Node, path: Path) -> None:
    await node.fill(*"abc", history=LARGE)
    copy = path.with_name("copy.db")
    with (
        contextlib.closing(sqlite3.connect(path)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    async with running(SqliteBroker(copy)) as other:
        assert await read_all(other) == [(1, "a"), (2, "b"), (3, "c")]


async def test_keys_that_are_no_text_are_only_keys(node: Node) -> None:
    odd = "\ud800 \x00 '"
    first = await node.broker.publish("r", "a", history=KEEP, idempotency_key=odd)
    assert (await node.broker.publish("r", "a", history=KEEP, idempotency_key=odd)).position == first.position
    assert await node.broker.claim(odd, 60.0)
    assert not await node.broker.claim(odd, 60.0)
