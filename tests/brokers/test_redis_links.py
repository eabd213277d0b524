"""What the Redis broker does when its links and its servers fail."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial

import pytest
from polling import eventually as soon
from redis_nodes import IMPATIENT, KEEP, behind_a_proxy, offsets, publish_until_accepted, running
from redis_servers import BINARIES, RedisServer, new_prefix, redis_server

from hubbub import BrokerError, History, HistoryGone, Position


@pytest.fixture(scope="module", params=list(BINARIES))
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with redis_server(request.param) as server:
        yield server


@pytest.fixture(params=list(BINARIES))
def mortal(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server that a test may do anything to."""
    with redis_server(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with redis_server("valkey") as server:
        yield server


eventually = partial(soon, seconds=20.0)  # links come back with a backoff, and machines are busy


# The server goes and comes back


async def test_a_server_killed_and_restarted_with_its_data_goes_on(tmp_path: object) -> None:
    with redis_server("valkey", "--appendonly", "yes", "--appendfsync", "always") as server:
        async with running(server.url(IMPATIENT), "r") as node:
            last = (await node.fill("a", "b", history=KEEP))[-1].position
            await node.payloads(2)
            server.kill()
            await eventually(lambda: not node.broker.connected)
            with pytest.raises(BrokerError):
                await node.broker.publish("r", "lost", history=KEEP)
            server.start()
            await eventually(lambda: node.broker.connected)
            position = await publish_until_accepted(node, "r", "c")
            assert last is not None
            assert position == Position(last.epoch, 3)
            assert await node.payloads(3) == ["a", "b", "c"]
            assert node.interruptions == []


async def test_a_server_restarted_empty_interrupts_each_room_once(mortal: RedisServer) -> None:
    rooms = [f"room{number}" for number in range(50)]
    async with running(mortal.url(IMPATIENT), *rooms) as node:
        before = {room: (await node.broker.publish(room, "a", history=KEEP)).position for room in rooms}
        await node.payloads(50)
        mortal.kill()
        await eventually(lambda: not node.broker.connected)
        mortal.start()
        await eventually(lambda: len(node.interruptions) == 50)
        for room in rooms:
            await publish_until_accepted(node, room, "b")
        await node.payloads(100)
        assert sorted(room for room, _ in node.interruptions) == sorted(rooms)
        new = {room: position.epoch for room, position in node.interruptions}
        for one in node.delivered[50:]:
            old = before[one.room]
            assert one.position == Position(new[one.room], 1)
            assert old is not None
            assert old.epoch != new[one.room]


async def test_a_server_restarted_with_older_data_gets_a_new_epoch(mortal: RedisServer) -> None:
    url = mortal.url(IMPATIENT)
    async with running(url, "r") as node, running(url) as other:
        made = await node.fill(*"01234", history=KEEP)
        mortal.run("SAVE")
        made += await node.fill(*"5678", history=KEEP)
        await node.payloads(9)
        mortal.kill()
        mortal.start()
        await eventually(lambda: node.interruptions)
        position = await publish_until_accepted(other, "r", "new")
        await node.payloads(10)
        assert made[0].position is not None
        assert position.epoch != made[0].position.epoch
        assert node.interruptions == [("r", Position(position.epoch, position.offset - 1))]
        assert node.delivered[-1].payload == "new"
        for one in (made[0], made[4], made[8]):
            with pytest.raises(HistoryGone):
                await other.broker.history("r", KEEP, since=one.position, limit=None, reverse=False)


async def test_a_publish_from_a_node_that_knows_more_than_the_store_begins_a_new_epoch(
    valkey: RedisServer,
) -> None:
    prefix = new_prefix()
    async with running(valkey.url(prefix=prefix), "r") as node:
        made = await node.fill(*"abc", history=KEEP)
        await node.payloads(3)
        valkey.run("SET", f"{prefix}:{{r}}:meta", f"1:{made[-1].position.epoch}:3:3")  # type: ignore[union-attr]
        (after,) = await node.fill("d", history=KEEP)
        assert after.position is not None
        assert made[-1].position is not None
        assert after.position.epoch != made[-1].position.epoch
        await eventually(lambda: node.interruptions)


async def test_a_frozen_server_is_noticed_and_publishes_raise(valkey: RedisServer) -> None:
    async with running(valkey.url(), "r") as node:
        valkey.freeze()
        try:
            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(node.broker.publish("r", str(number), history=KEEP) for number in range(100)),
                return_exceptions=True,
            )
            assert all(isinstance(outcome, BrokerError) for outcome in outcomes)
            await eventually(lambda: not node.broker.connected)
            print(f"a frozen server was noticed after {time.monotonic() - began:.1f} s")
            with pytest.raises(BrokerError, match="no link"):
                await node.broker.publish("r", "refused at once")
        finally:
            valkey.thaw()
        await eventually(lambda: node.broker.connected)
        await publish_until_accepted(node, "r", "after")
        await eventually(lambda: node.delivered and node.delivered[-1].payload == "after")
        assert offsets(node) == list(range(1, len(node.delivered) + 1))


async def test_an_idle_link_to_a_frozen_server_is_noticed(valkey: RedisServer) -> None:
    async with running(valkey.url(IMPATIENT), "r") as node:
        valkey.freeze()
        try:
            await eventually(lambda: not node.broker.connected)
        finally:
            valkey.thaw()
        await eventually(lambda: node.broker.connected)


async def test_what_waits_for_a_frozen_server_is_bounded(valkey: RedisServer) -> None:
    async with running(valkey.url()) as node:
        valkey.freeze()
        try:
            payload = b"x" * 1_048_576
            outcomes = await asyncio.gather(
                *(node.broker.publish("r", payload, history=KEEP) for _ in range(80)), return_exceptions=True
            )
        finally:
            valkey.thaw()
        texts = [str(outcome) for outcome in outcomes]
        assert all(isinstance(outcome, BrokerError) for outcome in outcomes)
        assert len([text for text in texts if "too many" in text]) >= 16


async def test_a_server_that_became_a_replica_is_left_and_found_again(mortal: RedisServer) -> None:
    async with running(mortal.url(IMPATIENT), "r") as node:
        await node.fill("a", history=KEEP)
        mortal.run("REPLICAOF", "127.0.0.1", mortal.port + 1 if mortal.port < 65_000 else 1)
        with pytest.raises(BrokerError):
            await node.broker.publish("r", "b", history=KEEP)
        mortal.run("REPLICAOF", "NO", "ONE")
        await publish_until_accepted(node, "r", "c")
        assert (await node.payloads(2))[-1] == "c"
        assert node.interruptions == []


# The link goes and comes back


async def test_what_was_published_while_the_link_was_cut_is_delivered_in_order(server: RedisServer) -> None:
    async with behind_a_proxy(server) as (far, near, proxy):
        await near.fill("first", history=KEEP)
        proxy.refuses = True
        proxy.cut()
        await eventually(lambda: not far.broker.connected)
        with pytest.raises(BrokerError):
            await far.broker.subscribe("elsewhere", KEEP)
        for number in range(20):
            await near.broker.publish("r", str(number), history=KEEP)
        proxy.refuses = False
        await eventually(lambda: len(far.delivered) == 21)
        await near.fill("last", history=KEEP)
        await far.payloads(22)
        assert offsets(far) == list(range(1, 23))
        assert far.interruptions == []


async def test_links_cut_again_and_again_lose_nothing(valkey: RedisServer) -> None:
    async with behind_a_proxy(valkey) as (far, near, proxy):
        for number in range(1_500):
            await near.broker.publish("r", str(number), history=KEEP)
            if number % 500 == 250:
                proxy.cut()
        await eventually(lambda: len(far.delivered) >= 1_500)
        assert [one.payload for one in far.delivered] == [str(number) for number in range(1_500)]
        assert far.interruptions == []


async def test_more_lost_than_history_keeps_is_told_once(valkey: RedisServer) -> None:
    short = History(size=3, ttl=60.0)
    async with behind_a_proxy(valkey) as (far, near, proxy):
        proxy.refuses = True
        proxy.cut()
        made = [await near.broker.publish("r", str(number), history=short) for number in range(10)]
        proxy.refuses = False
        await eventually(lambda: far.interruptions)
        assert far.interruptions == [("r", made[-1].position)]
        await near.fill("after", history=short)
        assert await far.payloads(1) == ["after"]


async def test_a_subscriber_thrown_out_for_its_output_buffer_gets_everything(mortal: RedisServer) -> None:
    mortal.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 0 0")
    history = History(size=1_000, ttl=60.0, bytes=2**28)
    async with behind_a_proxy(mortal, options="") as (far, near, proxy):
        assert mortal.run("CLIENT", "LIST", "TYPE", "pubsub")
        proxy.swallow()
        count = 0
        while mortal.run("CLIENT", "LIST", "TYPE", "pubsub"):
            assert count < 200, "the server still keeps the link"
            await near.broker.publish("r", "x" * 500_000, history=history)
            count += 1
        proxy.flow()
        await eventually(lambda: len(far.delivered) == count)
        assert offsets(far) == list(range(1, count + 1))
        assert far.interruptions == []


async def test_a_subscription_link_killed_by_the_server_is_repaired(server: RedisServer) -> None:
    prefix = new_prefix()
    async with running(server.url(prefix=prefix), "r") as node, running(server.url(prefix=prefix)) as other:
        for round_ in range(3):
            server.run("CLIENT", "KILL", "TYPE", "pubsub")
            await other.fill(*"abc", history=KEEP)
            await node.payloads(3 * (round_ + 1))
        assert offsets(node) == list(range(1, 10))
        assert node.interruptions == []


async def test_a_message_lost_without_a_word_is_found_by_comparing_positions(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with running(valkey.url(prefix=prefix), "r") as node:
        # Into the log past the channel, as if the channel had lost it.
        (first,) = await node.fill("a", history=KEEP)
        assert first.position is not None
        [(_, fields)] = valkey.run("XRANGE", f"{prefix}:{{r}}:log", "-", "+")
        valkey.run("XADD", f"{prefix}:{{r}}:log", "2-0", *fields)
        valkey.run("SET", f"{prefix}:{{r}}:meta", f"2:{first.position.epoch}:2:2")
        await eventually(lambda: len(node.delivered) == 2)
        assert offsets(node) == [1, 2]


async def test_a_delayed_link_keeps_everything_in_order(valkey: RedisServer) -> None:
    async with behind_a_proxy(valkey) as (far, _near, proxy):
        proxy.delay = 0.05
        made = await asyncio.gather(
            *(far.broker.publish("r", str(number), history=KEEP) for number in range(300))
        )
        await far.payloads(300)
        assert [one.payload for one in far.delivered] == [str(number) for number in range(300)]
        assert [one.position.offset for one in made if one.position] == list(range(1, 301))
