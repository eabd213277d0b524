"""The NATS broker over bad links: servers restarted, replaced, frozen and set back, connections cut."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import nats
import pytest
import pytest_asyncio
from broker_node import Node
from nats_servers import NatsServer, nats_server, new_prefix
from polling import eventually
from tcp_proxy import TcpProxy, tcp_proxy

from hubbub import BrokerError, History, HistoryGone, Position
from hubbub.brokers.nats import NatsBroker, NatsOptions
from hubbub.brokers.nats.link import Link

LARGE = History(size=10_000, ttl=60.0)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    """A server that the test may kill."""
    with nats_server() as server:
        yield server


@pytest_asyncio.fixture
async def proxy(server: NatsServer) -> AsyncIterator[TcpProxy]:
    async with tcp_proxy(server.port) as proxy:
        yield proxy


@asynccontextmanager
async def node_on(url: str, *rooms: str) -> AsyncIterator[Node]:
    """A started node that follows the rooms."""
    node = Node(NatsBroker.from_url(url))
    await node.broker.start(node)
    try:
        for room in rooms:
            await node.broker.subscribe(room, LARGE)
        yield node
    finally:
        await node.broker.stop()


def offsets(node: Node) -> list[int]:
    return [one.position.offset for one in node.delivered if one.position]


async def publish_until_accepted(node: Node, payload: str, room: str = "r") -> Position:
    """Try again and again, as one who has an idempotency key may."""

    async def accepted() -> Position | None:
        try:
            key = f"{room} {payload}"
            made = await node.broker.publish(room, payload, history=LARGE, idempotency_key=key)
            return made.position
        except BrokerError:
            return None

    position = await eventually(accepted, 15.0)
    assert position is not None
    return position


# Servers that go away


async def test_after_a_restart_with_its_data_nothing_is_lost_doubled_or_swapped(server: NatsServer) -> None:
    prefix = new_prefix()
    async with node_on(server.url(prefix), "r") as node, node_on(server.url(prefix)) as other:
        for turn in range(3):
            for number in range(20):
                await publish_until_accepted((node, other)[number % 2], f"{turn} {number}")
            server.kill()
            await eventually(lambda: not node.broker.connected)
            with pytest.raises(BrokerError):
                await node.broker.publish("r", "while it is away", history=LARGE)
            with pytest.raises(BrokerError):
                await node.broker.publish("r", "while it is away")
            server.start()
        await publish_until_accepted(node, "last")
        payloads = await node.payloads(61)
        assert payloads == [f"{turn} {number}" for turn in range(3) for number in range(20)] + ["last"]
        assert offsets(node) == list(range(1, 62))
        assert len({one.position.epoch for one in node.delivered if one.position}) == 1
        assert node.interruptions == []


async def test_an_idempotency_key_outlives_a_restart_even_if_its_publication_does_not(
    server: NatsServer,
) -> None:
    async with node_on(server.url(), "r") as node:
        first = await node.broker.publish("r", "a", history=LARGE, idempotency_key="k")
        await node.broker.publish("plain", "a", idempotency_key="k")
        await publish_until_accepted(node, "b")
        await node.broker.remove_history("r")
        server.kill()
        server.start()
        last = await publish_until_accepted(node, "c")
        assert await node.broker.publish("r", "a", history=LARGE, idempotency_key="k") == first
        await node.broker.subscribe("plain")
        await node.broker.publish("plain", "a", idempotency_key="k")
        await node.broker.publish("plain", "b")
        assert [str(one.payload) for one in node.delivered if one.room == "r"][:3] == ["a", "b", "c"]
        await eventually(lambda: any(one.room == "plain" for one in node.delivered))
        assert [one.payload for one in node.delivered if one.room == "plain"] == ["b"]
        page = await node.broker.history("r", LARGE, since=None, limit=None, reverse=False)
        assert page.position == last


async def test_a_server_killed_under_load_loses_nothing_that_was_accepted(server: NatsServer) -> None:
    accepted: set[str] = set()
    async with node_on(server.url(), "r") as node:

        async def publish(task: int) -> None:
            for number in range(100):
                try:
                    await node.broker.publish("r", f"{task} {number}", history=LARGE)
                    accepted.add(f"{task} {number}")
                except BrokerError:
                    await asyncio.sleep(0.02)

        async def kill() -> None:
            await eventually(lambda: len(accepted) > 200)
            server.kill()
            server.start()

        await asyncio.gather(kill(), *(publish(task) for task in range(20)))
        last = await publish_until_accepted(node, "last")
        await eventually(lambda: node.delivered[-1].payload == "last", 10.0)
        payloads = [str(one.payload) for one in node.delivered]
        assert len(accepted) > 200
        assert len(payloads) == len(set(payloads))
        assert accepted <= set(payloads)
        assert offsets(node) == list(range(1, last.offset + 1))
        assert node.interruptions == []


async def test_after_a_restart_without_its_data_each_followed_room_is_interrupted_once(
    server: NatsServer,
) -> None:
    prefix, rooms = new_prefix(), [f"room {number}" for number in range(20)]
    async with node_on(server.url(prefix), *rooms) as node, node_on(server.url(prefix), "room 1") as other:
        before = {room: await publish_until_accepted(other, "a", room) for room in rooms}
        await node.payloads(20)
        server.kill()
        server.lose_data()
        server.start()
        await eventually(lambda: len(node.interruptions) >= 20 and other.interruptions, 15.0)
        assert sorted(room for room, _ in node.interruptions) == sorted(rooms)
        for room, position in node.interruptions:
            assert position.offset == 0
            assert position.epoch != before[room].epoch
            with pytest.raises(HistoryGone):
                await node.broker.history(room, LARGE, since=before[room], limit=None, reverse=False)
            assert await publish_until_accepted(other, "b", room) == Position(position.epoch, 1)
        assert (await node.payloads(40))[20:] == ["b"] * 20
        assert len(node.interruptions) == 20
        assert len(other.interruptions) == 1


async def test_a_stream_that_was_deleted_is_made_anew(server: NatsServer) -> None:
    prefix = new_prefix()
    async with node_on(server.url(prefix), "r") as node:
        old = await publish_until_accepted(node, "a")
        await node.payloads(1)
        client = await nats.connect(f"nats://127.0.0.1:{server.port}")
        manager = client.jsm()
        await manager.delete_stream(await manager.find_stream_name_by_subject(f"{prefix}.in.*"))
        await client.close()
        new = await publish_until_accepted(node, "b")
        assert (new.epoch != old.epoch, new.offset) == (True, 1)
        await eventually(lambda: [room for room, _ in node.interruptions] == ["r"])
        with pytest.raises(HistoryGone):
            await node.read(since=old)


def snapshot(server: NatsServer) -> None:
    """Keep a copy of the data; the server is restarted for it."""
    server.kill()
    shutil.copytree(server.folder / "data", server.folder / "older")
    server.start()


def set_back(server: NatsServer) -> None:
    """Restart it with the data of the snapshot, as after a crash of the machine or from a backup."""
    server.kill()
    server.lose_data()
    shutil.move(server.folder / "older", server.folder / "data")
    server.start()


async def test_a_server_set_back_to_older_data_is_noticed(server: NatsServer) -> None:
    async with node_on(server.url(), "r", "s") as node:
        for number in range(3):
            await publish_until_accepted(node, str(number))
        snapshot(server)
        for number in range(3, 6):
            last = await publish_until_accepted(node, str(number))
        await node.payloads(6)
        set_back(server)
        await eventually(lambda: node.interruptions, 15.0)
        assert [room for room, _ in node.interruptions] == ["r"]
        new = await publish_until_accepted(node, "new")
        assert new.epoch != last.epoch
        with pytest.raises(HistoryGone):
            await node.broker.history("r", LARGE, since=last, limit=None, reverse=False)
        assert (await node.payloads(7))[6:] == ["new"]


async def test_a_node_that_comes_back_last_notices_a_set_back_although_others_have_published_more_since(
    server: NatsServer, proxy: TcpProxy
) -> None:
    prefix = new_prefix()
    async with node_on(server.url(prefix, port=proxy.port), "r", "s") as node:
        for number in range(3):
            await publish_until_accepted(node, str(number))
        snapshot(server)
        for number in range(3, 6):
            last = await publish_until_accepted(node, str(number))
        await node.payloads(6)
        proxy.refuses = True
        proxy.cut()
        set_back(server)
        async with node_on(server.url(prefix), "r") as other:  # it cannot know what was lost
            for number in range(6, 12):
                again = await publish_until_accepted(other, str(number))
            assert last.epoch == again.epoch
            assert last.offset < again.offset
            proxy.refuses = False
            await eventually(lambda: node.interruptions and other.interruptions, 15.0)
            new = await publish_until_accepted(node, "new")
            assert new.epoch != last.epoch
            assert await node.payloads(7) == [*map(str, range(6)), "new"]
            assert await other.payloads(7) == [*map(str, range(6, 12)), "new"]
            for one in (node, other):
                assert [room for room, _ in one.interruptions] == ["r"]
                with pytest.raises(HistoryGone):
                    await one.broker.history("r", LARGE, since=last, limit=None, reverse=False)


async def test_a_node_that_only_publishes_gives_no_offset_twice_when_the_server_is_set_back(
    server: NatsServer,
) -> None:
    async with node_on(server.url()) as node:
        for number in range(3):
            for room in ("r", "s", "t"):
                await publish_until_accepted(node, str(number), room)
        snapshot(server)
        last = {room: await publish_until_accepted(node, "3", room) for room in ("r", "s")}
        server.freeze()
        under_way = asyncio.create_task(node.broker.publish("s", "4", history=LARGE))
        await asyncio.sleep(0)
        set_back(server)
        with suppress(BrokerError):
            await under_way
        for room, position in last.items():
            new = await publish_until_accepted(node, "5", room)
            assert (new.epoch != position.epoch, new.offset) == (True, 1)
        assert (await publish_until_accepted(node, "3", "t")).offset == 4


# Links


@pytest.mark.parametrize("how", ["cut", "swallow"])
async def test_what_a_broken_link_lost_is_repaired_before_anything_newer(
    server: NatsServer, proxy: TcpProxy, how: str
) -> None:
    prefix, rooms = new_prefix(), [f"room {number}" for number in range(5)]
    async with (
        node_on(server.url(prefix, port=proxy.port), *rooms) as node,
        node_on(server.url(prefix)) as other,
    ):
        for room in rooms:
            await publish_until_accepted(other, "a", room)
        await node.payloads(5)
        proxy.refuses = True
        if how == "cut":
            proxy.cut()
        else:
            proxy.swallow()
        await eventually(lambda: not node.broker.connected)
        for room in rooms[:4]:
            for number in range(10):
                await publish_until_accepted(other, f"missed {number}", room)
        proxy.refuses = False
        proxy.flow()
        await eventually(lambda: node.broker.connected, 10.0)
        for room in rooms:
            await publish_until_accepted(other, "z", room)
        await node.payloads(50)
        for room in rooms:
            missed = [f"missed {number}" for number in range(10)] if room != "room 4" else []
            assert [one.payload for one in node.delivered if one.room == room] == ["a", *missed, "z"]
        assert node.interruptions == []


async def test_a_loss_that_no_later_publication_shows_is_found_within_seconds(server: NatsServer) -> None:
    """The stream stops repeating what it stores, as a broken route between servers would make it."""
    prefix = new_prefix()
    async with node_on(server.url(prefix), "r") as node, node_on(server.url(prefix)) as other:
        await publish_until_accepted(other, "a")
        await node.payloads(1)
        client = await nats.connect(f"nats://127.0.0.1:{server.port}")
        manager = client.jsm()
        config = (
            await manager.stream_info(await manager.find_stream_name_by_subject(f"{prefix}.in.*"))
        ).config
        config.republish = None
        await manager.update_stream(config)
        await client.close()
        await publish_until_accepted(other, "b")
        await publish_until_accepted(other, "c")
        assert await node.payloads(3) == ["a", "b", "c"]
        assert (offsets(node), node.interruptions) == ([1, 2, 3], [])


async def test_a_frozen_server_is_noticed_and_what_failed_is_not_published_later(server: NatsServer) -> None:
    prefix = new_prefix()
    async with node_on(server.url(prefix), "r") as node:
        await publish_until_accepted(node, "a")
        server.freeze()
        waiting = [
            asyncio.create_task(node.broker.publish("r", f"frozen {number} {'x' * 500_000}"))
            for number in range(20)
        ]
        with pytest.raises(BrokerError):
            await node.broker.publish("r", "also frozen", history=LARGE)
        await eventually(lambda: not node.broker.connected, 4.0)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(one, BrokerError) for one in results)
        with pytest.raises(BrokerError):
            await node.broker.publish("r", "not connected")
        with pytest.raises(BrokerError):
            await node.broker.subscribe("s", LARGE)
        server.thaw()
        await eventually(lambda: node.broker.connected, 10.0)
        await publish_until_accepted(node, "b")
        await eventually(lambda: node.delivered[-1].payload == "b")
        assert "not connected" not in [one.payload for one in node.delivered]
        assert node.interruptions == []
    assert len(asyncio.all_tasks()) == 1


async def test_publishes_that_wait_fail_when_the_broker_stops(server: NatsServer) -> None:
    async with node_on(server.url(), "r") as node:
        server.freeze()
        waiting = [
            asyncio.create_task(node.broker.publish("r", "x", history=history))
            for history in (LARGE, None, LARGE)
        ]
        subscribing = asyncio.create_task(node.broker.subscribe("s", LARGE))
        await asyncio.sleep(0)
        await node.broker.stop()
        results = await asyncio.gather(*waiting, subscribing, return_exceptions=True)
        assert all(isinstance(one, BrokerError) for one in results)
        assert not node.broker.connected
        assert len(asyncio.all_tasks()) == 1


async def test_a_barrier_ends_in_whichever_turn_of_a_close_it_is_asked_for(server: NatsServer) -> None:
    link = Link(NatsOptions.from_url(server.url()), lambda: None)
    await link.open((f"127.0.0.1:{server.port}",))
    asked = [asyncio.create_task(link.barrier())]
    closing = asyncio.create_task(link.close())
    while not closing.done():
        await asyncio.sleep(0)
        asked.append(asyncio.create_task(link.barrier()))
    ended, waiting = await asyncio.wait(asked, timeout=2)
    assert not waiting
    assert all(isinstance(one.exception(), BrokerError) for one in ended)
