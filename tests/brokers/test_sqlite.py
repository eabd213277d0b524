"""The SQLite broker keeps the contract, and what it has acknowledged."""

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
from broker_contract import KEEP, BrokerContract, Node
from polling import eventually, turns

from hubbub import BrokerError, ConfigurationError, History, HistoryGone, Position
from hubbub.brokers import Broker, broker_from_url, sqlite_link, sqlite_store
from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.brokers.sqlite_schema import APPLICATION, VERSION

LARGE = History(size=100_000, ttl=3600.0)
PUBLISHER = Path(__file__).with_name("sqlite_publisher.py")


class TestSqliteBroker(BrokerContract):
    @pytest.fixture
    def make_broker(self, path: Path) -> Callable[[], Broker]:
        return lambda: SqliteBroker(path)


class TestSqliteBrokerThatNeverKeepsAJournal(BrokerContract):
    @pytest.fixture
    def make_broker(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Broker]:
        monkeypatch.setattr(sqlite_store, "JOURNAL_ENTRIES", 1)
        return lambda: SqliteBroker(path)


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest_asyncio.fixture
async def node(path: Path) -> AsyncIterator[Node]:
    async with running(SqliteBroker(path)) as node:
        yield node


@contextlib.asynccontextmanager
async def running(broker: SqliteBroker) -> AsyncIterator[Node]:
    node = Node(broker)
    await broker.start(node)
    try:
        yield node
    finally:
        await broker.stop()


async def read_all(node: Node, room: str = "r", history: History = LARGE) -> list[tuple[int, str | bytes]]:
    page = await node.broker.history(room, history, since=None, limit=None, reverse=False)
    return [(one.position.offset, one.payload) for one in page.publications if one.position]


# URLs


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///chat.db", "chat.db"),
        ("sqlite:///data/chat.db?synchronous=full", "data/chat.db"),
        ("sqlite:////var/lib/chat.db", "/var/lib/chat.db"),
        ("sqlite:///my%20chat.db", "my chat.db"),
    ],
)
def test_a_url_names_a_relative_or_an_absolute_file(url: str, path: str) -> None:
    broker = broker_from_url(url)
    assert isinstance(broker, SqliteBroker)
    assert broker.path == Path(path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "memory://"),
        ("sqlite:///", "memory://"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite://chat.db", "sqlite:///relative.db"),
        ("sqlite:///chat.db?journal=off", "unknown option 'journal'"),
        ("sqlite:///chat.db?synchronous=off", "normal or full"),
        ("sqlite:///chat.db?synchronous=", "normal or full"),
        ("sqlite:///chat.db#1", "sqlite:///relative.db"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        broker_from_url(url)


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


# Order, cancellation, and what waits


async def test_deliveries_have_the_order_of_offsets_and_come_before_the_answer(node: Node) -> None:
    async def publish(task: int) -> None:
        for number in range(20):
            made = await node.broker.publish(f"r{number % 3}", f"{task}-{number}", history=LARGE)
            assert made in node.delivered[-200:]

    await asyncio.gather(*(publish(task) for task in range(50)))
    assert len(node.delivered) == 1_000
    for room in ("r0", "r1", "r2"):
        delivered = [one for one in node.delivered if one.room == room]
        assert [one.position.offset for one in delivered if one.position] == list(
            range(1, len(delivered) + 1)
        )
        assert await read_all(node, room) == [
            (one.position.offset, one.payload) for one in delivered if one.position
        ]


async def test_cancelled_publishes_disturb_nobody(node: Node) -> None:
    tasks = [
        asyncio.create_task(node.broker.publish("r", str(number), history=LARGE)) for number in range(2_000)
    ]
    await turns(2)
    for task in tasks[::2]:
        task.cancel()
    others = await asyncio.gather(*tasks[1::2])
    assert [one.payload for one in others] == [str(number) for number in range(1, 2_000, 2)]
    assert len({one.position for one in others}) == 1_000
    await node.fill("last", history=LARGE)
    offsets = [one.position.offset for one in node.delivered if one.position]
    assert offsets == list(range(1, len(offsets) + 1))
    assert set(others) <= set(node.delivered)
    assert await read_all(node) == [
        (one.position.offset, one.payload) for one in node.delivered if one.position
    ]


async def test_a_publish_sees_itself_in_the_history_at_once(node: Node) -> None:
    publishing = [asyncio.create_task(node.fill(str(number), history=LARGE)) for number in range(10)]
    await asyncio.sleep(0)
    page = await node.broker.history("r", LARGE, since=None, limit=None, reverse=False)
    assert len(page.publications) == 10
    await asyncio.gather(*publishing)


async def test_too_many_publishes_at_once_are_refused(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_link, "MAX_WAITING", 10)
    results = await asyncio.gather(
        *(node.broker.publish("r", str(number), history=KEEP) for number in range(30)), return_exceptions=True
    )
    assert [isinstance(one, BrokerError) for one in results] == [False] * 10 + [True] * 20
    assert "too many publishes wait" in str(results[-1])
    await node.fill("after")
    monkeypatch.setattr(sqlite_link, "MAX_WAITING_BYTES", 1_000)
    results = await asyncio.gather(*(node.fill("x" * 600) for _ in range(2)), return_exceptions=True)
    assert [isinstance(one, BrokerError) for one in results] == [False, True]
    assert len(node.delivered) == 12


async def test_what_waits_when_it_is_stopped_is_done_first(path: Path) -> None:
    broker = SqliteBroker(path)
    node = Node(broker)
    await broker.start(node)
    publishing = [asyncio.create_task(node.fill(str(number), history=LARGE)) for number in range(100)]
    await asyncio.sleep(0)
    await broker.stop()
    assert len(node.delivered) == 100
    await asyncio.gather(*publishing)
    assert not path.with_name("chat.db-wal").exists()


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
        await node.fill(*"abc")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM publications WHERE position = 2")
    async with running(SqliteBroker(path)) as node:
        with pytest.raises(BrokerError, match="damaged"):
            await read_all(node)


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


# Bounds


async def test_histories_together_stay_within_their_bytes(path: Path) -> None:
    async with running(SqliteBroker(path, history_bytes=1_000)) as node:
        for number in range(20):
            await node.broker.publish(f"room{number}", "x" * 90, history=LARGE)
        kept = [len(await read_all(node, f"room{number}")) for number in range(20)]
        assert kept == [0] * 9 + [1] * 11 or kept == [0] * 10 + [1] * 10
        gone = await node.broker.subscribe("room0", LARGE)
        assert gone is not None
        since = Position(gone.epoch, 0)
        with pytest.raises(HistoryGone):
            await node.broker.history("room0", LARGE, since=since, limit=None, reverse=False)
        for number in range(20):
            await node.broker.publish("one room", f"{number:02}" + "x" * 88, history=LARGE)
        assert [payload[:2] for _, payload in await read_all(node, "one room")][-1] == "19"
        await node.broker.publish("one room", "y" * 5_000, history=LARGE)
        assert [len(payload) for _, payload in await read_all(node, "one room")] == [5_000]


async def test_a_room_that_was_forgotten_has_a_new_epoch_and_tells_those_in_it(path: Path) -> None:
    async with running(SqliteBroker(path, max_rooms=2)) as node:
        made = [await node.broker.publish(room, "a", history=KEEP) for room in "rst"]
        await node.broker.remove_history("nothing")  # moves the journal to the tables
        again = await node.broker.publish("r", "b", history=KEEP)
        assert made[0].position is not None
        assert again.position is not None
        assert again.position.offset == 1
        assert again.position.epoch != made[0].position.epoch
        assert node.interruptions[-1] == ("r", Position(again.position.epoch, 0))
        with pytest.raises(HistoryGone):
            await node.read(since=made[0].position)
