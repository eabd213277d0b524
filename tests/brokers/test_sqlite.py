"""The SQLite broker keeps the contract, takes URLs, and keeps the order of what it is given."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from broker_contract import BrokerContract
from broker_node import KEEP, Node
from polling import turns
from sqlite_nodes import LARGE, read_all, running

from hubbub import BrokerError, ConfigurationError, HistoryGone, Position
from hubbub.brokers import Broker, broker_from_url, sqlite_link, sqlite_store
from hubbub.brokers.sqlite import SqliteBroker


class TestSqliteBroker(BrokerContract):
    @pytest.fixture
    def make_broker(self, path: Path) -> Callable[[], Broker]:
        return lambda: SqliteBroker(path)


class TestSqliteBrokerThatNeverKeepsAJournal(BrokerContract):
    @pytest.fixture
    def make_broker(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Broker]:
        monkeypatch.setattr(sqlite_store, "JOURNAL_ENTRIES", 1)
        return lambda: SqliteBroker(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest_asyncio.fixture
async def node(path: Path) -> AsyncIterator[Node]:
    async with running(SqliteBroker(path)) as node:
        yield node


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
