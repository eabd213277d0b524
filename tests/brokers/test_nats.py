"""The NATS broker keeps the contract on a real server, and keeps its own rules."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import unquote

import nats
import pytest
import pytest_asyncio
from broker_contract import BrokerContract
from broker_node import KEEP, Node
from hypothesis import given
from hypothesis import strategies as st
from nats_servers import NatsServer, nats_server, new_prefix
from polling import eventually

from hubbub import BrokerError, ConfigurationError, History, HistoryGone, Position, Publication
from hubbub.brokers import Broker
from hubbub.brokers.envelope import encode
from hubbub.brokers.nats import NatsBroker, NatsOptions
from hubbub.brokers.nats.history import bounded
from hubbub.brokers.nats.records import decode_record, encode_record
from hubbub.brokers.nats.store import RoomStore
from hubbub.brokers.nats.subjects import token_of
from hubbub.core.history import HistoryLog


@pytest.fixture(scope="session")
def server() -> Iterator[NatsServer]:
    with nats_server() as server:
        yield server


class TestNatsBroker(BrokerContract):
    @pytest.fixture
    def make_broker(self, server: NatsServer) -> Callable[[], Broker]:
        url = server.url()
        return lambda: NatsBroker.from_url(url)


@pytest_asyncio.fixture
async def pair(server: NatsServer) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes with one prefix; both follow room "r"."""
    url = server.url()
    nodes = Node(NatsBroker.from_url(url)), Node(NatsBroker.from_url(url))
    for node in nodes:
        await node.broker.start(node)
        await node.broker.subscribe("r", KEEP)
    yield nodes
    for node in nodes:
        await node.broker.stop()


# Two nodes


async def test_nodes_that_publish_at_once_into_a_room_have_one_order(pair: tuple[Node, Node]) -> None:
    large = History(size=1_000, ttl=60.0)

    async def publish(node: Node, name: str) -> None:
        for number in range(10):
            await node.broker.publish("r", f"{name} {number}", history=large)

    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(publish(pair[number % 2], str(number)))
    for node in pair:
        await node.payloads(500)
        assert [one.position.offset for one in node.delivered if one.position] == list(range(1, 501))
        assert node.interruptions == []
    assert pair[0].delivered == pair[1].delivered
    for number in range(50):
        own = [one.payload for one in pair[0].delivered if str(one.payload).startswith(f"{number} ")]
        assert own == [f"{number} {turn}" for turn in range(10)]
    page = await pair[0].broker.history("r", large, since=None, limit=None, reverse=False)
    assert list(page.publications) == pair[0].delivered


@pytest.mark.parametrize("history", [KEEP, None], ids=["history", "no history"])
async def test_an_idempotency_key_holds_on_all_nodes(
    pair: tuple[Node, Node], history: History | None
) -> None:
    made = await asyncio.gather(
        *(pair[turn % 2].broker.publish("r", "a", history=history, idempotency_key="k") for turn in range(10))
    )
    await pair[0].broker.publish("r", "b", history=history)
    assert len({one.position for one in made}) == 1
    for node in pair:
        assert await node.payloads(2) == ["a", "b"]


async def test_the_position_of_an_idempotent_publish_is_known_when_it_is_not_kept_any_more(
    pair: tuple[Node, Node],
) -> None:
    tiny = History(size=1, ttl=60.0)
    first = await pair[0].broker.publish("r", "a", history=tiny, idempotency_key="k\r\n> *")
    await pair[0].broker.publish("r", "b", history=tiny)
    await pair[0].broker.remove_history("r")
    again = await pair[1].broker.publish("r", "a", history=tiny, idempotency_key="k\r\n> *")
    assert again == first


async def test_a_history_that_was_removed_stays_so_even_if_nothing_was_deleted(
    pair: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die_before(*_: object) -> None:
        return

    monkeypatch.setattr(RoomStore, "purge", die_before)
    made = await pair[0].fill("a", "b")
    await pair[0].broker.remove_history("r")
    assert await pair[1].read() == []
    await pair[1].fill("c")
    assert await pair[0].read() == ["c"]
    assert await pair[0].read(since=made[1].position) == ["c"]
    with pytest.raises(HistoryGone):
        await pair[0].read(since=made[0].position)


async def test_a_claim_is_granted_on_one_node(pair: tuple[Node, Node]) -> None:
    granted = await asyncio.gather(*(pair[turn % 2].broker.claim("t", 60.0) for turn in range(10)))
    assert sorted(granted) == [False] * 9 + [True]


async def test_hubs_with_different_prefixes_do_not_meet(server: NatsServer, pair: tuple[Node, Node]) -> None:
    other = Node(NatsBroker.from_url(server.url()))
    await other.broker.start(other)
    await other.broker.subscribe("r", KEEP)
    await pair[0].broker.publish("r", "a", history=KEEP)
    await other.fill("b")
    assert await other.payloads(1) == ["b"]
    assert await pair[0].payloads(1) == ["a"]
    assert await other.read() == ["b"]
    await other.broker.stop()


# Many


async def test_cancelled_publishes_disturb_nobody(pair: tuple[Node, Node]) -> None:
    broker, large = pair[0].broker, History(size=5_000, ttl=60.0)
    kept: dict[int, asyncio.Task[Publication]] = {}
    cancelled: list[asyncio.Task[Publication]] = []
    for number in range(2_000):
        room, history = f"room {number % 7}", None if number % 3 == 0 else large
        task = asyncio.create_task(broker.publish(room, str(number), history=history))
        if number % 2:
            kept[number] = task
        else:
            cancelled.append(task)
        if number % 50 == 0:
            await asyncio.sleep(0)
            for one in cancelled[len(cancelled) // 2 :]:
                one.cancel()
    for one in cancelled:
        one.cancel()
    for number, task in kept.items():
        made = await task
        assert (made.payload, made.room) == (str(number), f"room {number % 7}")
        assert (made.position is None) == (number % 3 == 0)
        if made.position is not None:
            since = Position(made.position.epoch, made.position.offset - 1)
            if number % 101 == 0:
                page = await broker.history(made.room, large, since=since, limit=1, reverse=False)
                assert [one.payload for one in page.publications] == [str(number)]
    for room in range(7):
        page = await broker.history(f"room {room}", large, since=None, limit=None, reverse=False)
        offsets = [one.position.offset for one in page.publications if one.position]
        assert offsets == list(range(1, len(offsets) + 1))


async def test_very_many_rooms_are_followed_at_once(pair: tuple[Node, Node]) -> None:
    rooms = [f"room {number}" for number in range(2_000)]
    positions = await asyncio.gather(*(pair[0].broker.subscribe(room, KEEP) for room in rooms))
    assert len({position.epoch for position in positions if position}) == len(rooms)
    await asyncio.gather(*(pair[1].broker.publish(room, f"to {room}", history=KEEP) for room in rooms))
    await pair[0].payloads(len(rooms))
    assert {one.room: one.payload for one in pair[0].delivered} == {room: f"to {room}" for room in rooms}
    for room in rooms:
        pair[0].broker.unsubscribe(room)
    await pair[1].broker.publish(rooms[0], "to nobody", history=KEEP)
    await pair[1].broker.publish("r", "to all", history=KEEP)
    await eventually(lambda: pair[0].delivered[-1].room == "r")
    assert len(pair[0].delivered) == len(rooms) + 1


async def test_leaving_never_undoes_a_later_subscribe(pair: tuple[Node, Node]) -> None:
    expected: list[str] = []
    for number in range(30):
        subscribing = asyncio.create_task(pair[0].broker.subscribe("s", KEEP))
        if number % 2:
            await asyncio.sleep(0)
        pair[0].broker.unsubscribe("s")
        await pair[0].broker.subscribe("s", KEEP)
        await pair[1].broker.publish("s", str(number), history=KEEP)
        await pair[1].broker.publish("s", f"plain {number}")
        expected += [str(number), f"plain {number}"]
        assert await pair[0].payloads(len(expected)) == expected
        await asyncio.gather(subscribing, return_exceptions=True)


async def test_a_room_left_and_heard_again_under_load_is_never_heard_twice(pair: tuple[Node, Node]) -> None:
    async def publish() -> None:
        for number in range(400):
            await pair[1].broker.publish("s", str(number))

    publishing = asyncio.create_task(publish())
    while not publishing.done():
        pair[0].broker.unsubscribe("s")
        await pair[0].broker.subscribe("s")
    heard = [int(one.payload) for one in pair[0].delivered]
    assert len(heard) > 20
    assert heard == sorted(set(heard))


HOSTILE = [
    *(
        "*",
        ">",
        "a.*",
        "a.>",
        ".",
        "..",
        "a..b",
        " ",
        "a b",
        "\t",
        "\r\n",
        "a\r\nPUB x 1\r\nx",
        "$JS.API.INFO",
    ),
    *("=", "=2E", ".=2E", "é", "😀", "\x00", "%2E", "a/b#c", "x" * 300, "*" * 300, "_INBOX.x"),
]


async def test_no_name_means_anything_to_the_server(pair: tuple[Node, Node]) -> None:
    for name in HOSTILE:
        await pair[0].broker.subscribe(name, KEEP)
    for name in HOSTILE:
        await pair[1].broker.publish(name, f"kept {name}", history=KEEP)
        await pair[1].broker.publish(name, f"plain {name}")
        await pair[1].broker.publish(name, f"once {name}", idempotency_key=name)
    await pair[0].payloads(3 * len(HOSTILE))
    for name in HOSTILE:
        heard = [one.payload for one in pair[0].delivered if one.room == name]
        assert sorted(map(str, heard)) == sorted(f"{kind} {name}" for kind in ("kept", "plain", "once"))
        page = await pair[0].broker.history(name, KEEP, since=None, limit=None, reverse=True)
        assert [one.payload for one in page.publications] == [f"kept {name}"]
        await pair[0].broker.remove_history(name)
    assert len(pair[0].delivered) == 3 * len(HOSTILE)


@pytest.mark.parametrize("name", ["", "x" * 301, "\ud800"])
async def test_a_name_that_is_none_is_refused(pair: tuple[Node, Node], name: str) -> None:
    with pytest.raises(BrokerError):
        await pair[0].broker.publish(name, "a", history=KEEP)
    with pytest.raises(BrokerError):
        await pair[0].broker.publish(name, "a")
    with pytest.raises(BrokerError):
        await pair[0].broker.subscribe(name, KEEP)
    assert (await pair[0].fill("b"))[0].position is not None


@given(st.text(min_size=1, max_size=70), st.text(min_size=1, max_size=70))
def test_each_name_has_a_token_of_its_own(one: str, other: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token_of(one))
    assert unquote(token_of(one).replace("=", "%")) == one
    assert (token_of(one) == token_of(other)) == (one == other)


# Bounds


@pytest.mark.parametrize("history", [KEEP, None], ids=["history", "no history"])
async def test_what_is_too_large_for_the_server_is_refused_and_the_connection_stays(
    pair: tuple[Node, Node], history: History | None
) -> None:
    with pytest.raises(BrokerError, match="larger"):
        await pair[0].broker.publish("r", "x" * 1_100_000, history=history)
    with pytest.raises(BrokerError, match="too large"):
        await pair[0].broker.publish("r", b"x" * 17_000_000, history=history)
    assert pair[0].broker.connected
    await pair[0].fill("a")
    assert await pair[0].payloads(1) == ["a"]


async def test_too_many_publishes_that_wait_are_refused(pair: tuple[Node, Node]) -> None:
    results = await asyncio.gather(
        *(pair[0].broker.publish("r", "x" * 900_000, history=KEEP) for _ in range(100)),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, BrokerError)]
    assert refused
    assert "too many publishes wait" in str(refused[0])
    made = [one.position.offset for one in results if isinstance(one, Publication) and one.position]
    assert made == list(range(1, len(made) + 1))
    assert (await pair[0].fill("a"))[0].position is not None


async def test_what_is_pushed_out_is_deleted_from_the_stream(server: NatsServer) -> None:
    prefix = new_prefix()
    node = Node(NatsBroker.from_url(server.url(prefix)))
    await node.broker.start(node)
    for number in range(300):
        await node.broker.publish("r", str(number), history=KEEP)
    client = await nats.connect(f"nats://127.0.0.1:{server.port}")
    manager = client.jsm()
    name = await manager.find_stream_name_by_subject(f"{prefix}.in.*")

    async def few() -> bool:
        return (await manager.stream_info(name)).state.messages < 100

    await eventually(few)
    await client.close()
    assert await node.read() == ["295", "296", "297", "298", "299"]
    await node.broker.stop()


async def test_a_room_that_a_full_stream_forgot_begins_again_and_no_position_lies(server: NatsServer) -> None:
    node = Node(
        NatsBroker(NatsOptions((f"127.0.0.1:{server.port}",), prefix=new_prefix(), history_bytes=2**20))
    )
    await node.broker.start(node)
    (old,) = await node.fill("quiet")
    busy = History(size=1_000, ttl=60.0)
    for _ in range(20):
        await node.broker.publish("busy", "x" * 100_000, history=busy)
    with pytest.raises(HistoryGone):
        await node.read(since=old.position)
    (new,) = await node.fill("again")
    assert new.position is not None
    assert old.position is not None
    assert new.position.epoch != old.position.epoch
    with pytest.raises(HistoryGone):
        await node.read(since=old.position)
    await node.broker.stop()


publications = st.lists(st.tuples(st.integers(0, 4), st.floats(-1.0, 3.0, allow_nan=False)), max_size=12).map(
    lambda items: [
        Publication("r", "x" * size, time, Position("e", offset))
        for offset, (size, time) in enumerate(items, start=1)
    ]
)


@given(publications, st.integers(1, 6), st.integers(1, 12))
def test_what_is_read_is_what_the_memory_broker_would_have_kept(
    made: list[Publication], size: int, most_bytes: int
) -> None:
    history, log = History(size=size, ttl=5.0, bytes=most_bytes), HistoryLog("e")
    for one in made:
        log.append(one, history)
    log.expire(6.0 - history.ttl)
    assert bounded(made, history, log.position, 6.0) == log.oldest()


# Records and options


def test_a_record_that_is_none_is_refused() -> None:
    good = encode_record("e", 1, [encode("a", 1.0)])
    assert [one.payload for one in decode_record(good).publications("r")] == ["a"]
    for bad in (b"", b"\xff", b"\x94\x02\xa1e\x01\x90", encode_record("e", 0, [b"x"]), good[:-1]):
        with pytest.raises(BrokerError):
            decode_record(bad)
    with pytest.raises(BrokerError):
        list(decode_record(encode_record("e", 1, [b"x"])).publications("r"))


def test_a_url_says_everything() -> None:
    url = "tls://us%40er:p%3Aw@a.example:1,[::1]:2,b/?prefix=chat&replicas=3&history_bytes=2000000"
    servers = ("a.example:1", "[::1]:2", "b:4222")
    assert NatsOptions.from_url(url) == NatsOptions(servers, True, "us@er", "p:w", None, "chat", 3, 2_000_000)
    assert NatsOptions.from_url("nats://secret@a").token == "secret"
    assert NatsOptions.from_url("nats://a") == NatsOptions(("a:4222",))
    assert "p:w" not in repr(NatsOptions.from_url(url))


@pytest.mark.parametrize(
    "url",
    [
        *("nats://", "nats://a,", "nats://a:0", "nats://a:70000", "nats://a:x", "nats://a b", "http://a"),
        *("nats://a/path", "nats://a#x", "nats://a?other=1", "nats://a?prefix=a.b", "nats://a?prefix="),
        *("nats://a?replicas=0", "nats://a?replicas=6", "nats://a?replicas=x", "nats://a?prefix=a&prefix=b"),
        *("nats://a?history_bytes=1", "nats://[::1", "nats://a?prefix=*"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        NatsBroker.from_url(url)
