"""Erasing on NATS: one message has several publications, and nodes read and write while one is erased."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import nats
import pytest
import pytest_asyncio
from broker_node import KEEP, Node, position_of
from nats_servers import NatsServer, nats_server, new_prefix
from polling import eventually

from hubbub import BrokerError, History, HistoryGone, Position, Publication
from hubbub.brokers.nats import NatsBroker
from hubbub.brokers.nats.records import Record
from hubbub.brokers.nats.store import BATCH, RoomStore

LARGE = History(size=1_000, ttl=60.0)


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    return new_prefix()


@asynccontextmanager
async def node_on(server: NatsServer, prefix: str) -> AsyncIterator[Node]:
    """A node that follows the room "r"."""
    node = Node(NatsBroker.from_url(server.url(prefix)))
    await node.broker.start(node)
    await node.broker.subscribe("r", LARGE)
    yield node
    await node.broker.stop()


@pytest_asyncio.fixture
async def node(server: NatsServer, prefix: str) -> AsyncIterator[Node]:
    async with node_on(server, prefix) as node:
        yield node


@pytest_asyncio.fixture
async def other(server: NatsServer, prefix: str) -> AsyncIterator[Node]:
    async with node_on(server, prefix) as other:
        yield other


async def say(node: Node, *payloads: str) -> list[Publication]:
    """Publish at once: many come into one record."""
    return list(await asyncio.gather(*(node.broker.publish("r", one, history=LARGE) for one in payloads)))


async def everything(node: Node, since: Position | None = None) -> list[Publication]:
    page = await node.broker.history("r", LARGE, since=since, limit=None, reverse=False)
    return list(page.publications)


async def stored(server: NatsServer, prefix: str) -> list[bytes]:
    """All messages of the histories' stream."""
    client = await nats.connect(f"nats://127.0.0.1:{server.port}")
    manager = client.jsm()
    name = await manager.find_stream_name_by_subject(f"{prefix}.in.*")
    state = (await manager.stream_info(name)).state
    found = []
    for seq in range(state.first_seq, state.last_seq + 1):
        try:
            found.append((await manager.get_msg(name, seq)).data or b"")
        except nats.js.errors.NotFoundError:
            continue
    await client.close()
    return found


async def test_the_others_of_a_record_stay_and_the_text_leaves_the_stream_and_the_disk(
    server: NatsServer, prefix: str, node: Node, other: Node
) -> None:
    made = await say(node, *(f"<message {number}>" for number in range(100)))
    records = len(await stored(server, prefix))
    assert records < 20, "there are not many in a record"
    for number in (0, 41, 42, 99):
        assert await other.broker.erase("r", LARGE, position_of(made[number]))
    kept = [one for number, one in enumerate(made) if number not in (0, 41, 42, 99)]
    for one in (node, other):
        assert await everything(one) == kept
        assert await everything(one, Position(position_of(made[0]).epoch, 0)) == kept
        assert await everything(one, position_of(made[50])) == made[51:99]
    messages = await stored(server, prefix)
    assert len(messages) == records, "what restates a record takes its place"
    disk = b"".join(file.read_bytes() for file in (server.folder / "data").rglob("*") if file.is_file())
    for data in (b"".join(messages), disk):
        assert b"<message 1>" in data
        assert not [number for number in (0, 41, 42, 99) if b"<message %d>" % number in data]


@pytest.mark.parametrize("batch", [2, BATCH])
async def test_whoever_reads_while_two_nodes_erase_and_publish_misses_nothing_else(
    node: Node, other: Node, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.brokers.nats.store.BATCH", batch)
    made = await say(node, *map(str, range(200)))
    beginning = Position(position_of(made[0]).epoch, 0)
    asked: set[Position] = set()
    done: set[Position] = set()

    async def erase(by: Node, publications: list[Publication]) -> None:
        for one in publications:
            asked.add(position_of(one))
            assert await by.broker.erase("r", LARGE, position_of(one))
            done.add(position_of(one))

    async def publish() -> None:
        for number in range(40):
            made.extend(await say(other, f"more {number}", f"and more {number}"))

    erasing = asyncio.gather(erase(node, made[0:200:7]), erase(other, made[1:200:7]), publish())
    while not erasing.done():
        gone, known = done.copy(), made.copy()
        found = {position_of(one) for one in await everything(node, beginning)}
        assert not found & gone
        assert {position_of(one) for one in known} - asked <= found
    await erasing
    assert not {position_of(one) for one in await everything(other)} & done
    assert node.interruptions == other.interruptions == []


async def test_a_room_to_which_much_is_published_can_be_erased_from(node: Node) -> None:
    made = await say(node, *map(str, range(50)))
    stop = False

    async def publish() -> None:
        while not stop:
            await say(node, *["x"] * 10)

    publishing = asyncio.create_task(publish())
    erased = [await node.broker.erase("r", LARGE, position_of(one)) for one in made]
    stop = True
    await publishing
    assert all(erased)
    assert node.interruptions == []


async def test_what_could_not_be_deleted_is_not_read_and_is_deleted_when_it_is_asked_for_again(
    server: NatsServer, prefix: str, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise BrokerError("the server is busy")

    made = await say(node, "a", "too private", "c")
    with monkeypatch.context() as patched:
        patched.setattr(RoomStore, "delete", fail)
        with pytest.raises(BrokerError):
            await node.broker.erase("r", LARGE, position_of(made[1]))
    assert await everything(node) == [made[0], made[2]]
    assert any(b"too private" in one for one in await stored(server, prefix))
    assert not await node.broker.erase("r", LARGE, position_of(made[1]))
    assert not any(b"too private" in one for one in await stored(server, prefix))
    assert await everything(node) == [made[0], made[2]]


async def test_a_server_that_lags_behind_brings_nothing_back(
    node: Node, other: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cluster any server may answer; one that lags has the record in which nothing was erased yet."""
    made = await say(node, "a", "b", "c")
    assert isinstance(node.broker, NatsBroker)
    assert node.broker._session is not None
    older = await node.broker._session.store.records("r", 1)
    assert await other.broker.erase("r", LARGE, position_of(made[0]))
    real, stale = RoomStore.records, 3

    async def records(store: RoomStore, room: str, start: int) -> tuple[list[tuple[int, Record]], bool]:
        nonlocal stale
        stale -= 1
        if stale < 0:
            return await real(store, room, start)
        return [one for one in older[0] if one[0] >= start], False

    monkeypatch.setattr(RoomStore, "records", records)
    assert await everything(node) == made[1:]
    assert stale < 0
    stale = 3
    assert await node.broker.erase("r", LARGE, position_of(made[1]))
    assert await everything(other) == made[2:]


async def test_a_record_that_was_replaced_is_not_one_that_the_server_has_lost(
    node: Node, other: Node
) -> None:
    """A node that looks at the stream anew finds that what it saw last is not there."""
    made = await say(node, "a", "b", "c")
    node.broker.unsubscribe("r")  # it hears nothing of what the other one does
    for one in made[1:]:
        assert await other.broker.erase("r", LARGE, position_of(one))
    assert isinstance(node.broker, NatsBroker)
    assert node.broker._session is not None
    node.broker._session.store.doubt()  # as after a connect to a server that may have been set back
    (after,) = await say(node, "d")
    assert position_of(after) == Position(position_of(made[0]).epoch, 4)
    assert other.interruptions == []


async def test_a_history_with_erased_ones_is_trimmed_and_removed_as_ever(
    server: NatsServer, prefix: str, node: Node
) -> None:
    made: list[Publication] = []
    for number in range(120):
        made.append(await node.broker.publish("r", f"{number}", history=KEEP))
        if number % 3 == 0:
            assert await node.erase(made[-1])
    assert await node.read() == ["115", "116", "118", "119"]
    with pytest.raises(HistoryGone):
        await node.read(since=position_of(made[113]))
    assert await node.read(since=position_of(made[114])) == ["115", "116", "118", "119"]

    async def few() -> bool:
        return len(await stored(server, prefix)) < 80

    await eventually(few)
    await node.erase(made[-1])
    await node.broker.remove_history("r")
    assert await node.read() == []
    assert len(await stored(server, prefix)) == 1
    assert await node.read(since=position_of(made[-1])) == []


async def test_a_message_that_the_stream_has_lost_makes_a_resume_fail(
    node: Node, server: NatsServer, prefix: str
) -> None:
    made = [(await say(node, payload))[0] for payload in "abcd"]
    client = await nats.connect(f"nats://127.0.0.1:{server.port}")
    manager = client.jsm()
    name = await manager.find_stream_name_by_subject(f"{prefix}.in.*")
    await manager.delete_msg(name, 3)  # after a marker and "a"; by nobody who restates what it had
    await client.close()
    with pytest.raises(HistoryGone):
        await everything(node, position_of(made[0]))
    assert [one.payload for one in await everything(node, position_of(made[1]))] == ["c", "d"]
