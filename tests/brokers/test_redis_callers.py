"""Many callers of one Redis broker at once: nobody gets what is another's, and the last word counts."""

import asyncio
import random
import time
from collections.abc import Iterator

import pytest
from broker_node import Node
from polling import eventually, turns
from redis_nodes import KEEP, behind_a_proxy, running
from redis_servers import BINARIES, RedisServer, redis_server

from hubbub import BrokerError, Position
from hubbub.brokers.redis import RedisBroker


@pytest.fixture(scope="module", params=list(BINARIES))
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with redis_server(request.param) as server:
        yield server


@pytest.fixture(scope="module")
def valkey() -> Iterator[RedisServer]:
    with redis_server("valkey") as server:
        yield server


def node_prefix(node: Node) -> str:
    assert isinstance(node.broker, RedisBroker)
    return node.broker._settings.prefix


async def test_cancelled_publishes_disturb_nobody(server: RedisServer) -> None:
    async with behind_a_proxy(server) as (node, _near, proxy):
        proxy.delay = 0.01
        chance = random.Random(4)
        tasks = []
        for number in range(2_000):
            tasks.append(asyncio.create_task(node.broker.publish("r", str(number), history=KEEP)))
            if number % 100 == 0:
                await asyncio.sleep(0.002)
        cancelled = chance.sample(tasks, 1_000)
        for task in cancelled:
            task.cancel()
            if chance.random() < 0.02:
                await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        page = await node.broker.history("r", KEEP, since=None, limit=None, reverse=False)
        stored = {one.position: one.payload for one in page.publications}
        answered = {number: one for number, one in enumerate(outcomes) if not isinstance(one, BaseException)}
        assert len(answered) >= 1_000
        for number, one in answered.items():
            assert stored[one.position] == one.payload == str(number)
        assert len({one.position for one in answered.values()}) == len(answered)


async def test_publishes_of_one_node_keep_their_order_when_the_server_forgot_the_scripts(
    server: RedisServer,
) -> None:
    async with running(server.url(), "r") as node:
        server.run("SCRIPT", "FLUSH")
        tasks = []
        for number in range(300):
            tasks.append(asyncio.create_task(node.broker.publish("r", str(number), history=KEEP)))
            if number % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert await node.payloads(300) == [str(number) for number in range(300)]


async def test_five_thousand_rooms_are_entered_in_few_commands(valkey: RedisServer) -> None:
    names = [f"room{number}" for number in range(5_000)]
    async with running(valkey.url()) as node:
        valkey.run("CONFIG", "RESETSTAT")
        began = time.monotonic()
        positions = await asyncio.gather(*(node.broker.subscribe(name, KEEP) for name in names))
        print(f"5,000 rooms entered in {time.monotonic() - began:.2f} s")
        commands = valkey.run("INFO", "commandstats").decode()
        calls = int(commands.partition("cmdstat_subscribe:calls=")[2].partition(",")[0])
        assert calls <= 10
        assert all(position is not None and position.offset == 0 for position in positions)
        for name in names[::500]:
            await node.broker.publish(name, name, history=KEEP)
        await node.payloads(10)
        valkey.run("CLIENT", "KILL", "TYPE", "pubsub")
        for name in names[::500]:
            await node.broker.publish(name, name, history=KEEP)
        await node.payloads(20)
        for name in names:
            node.broker.unsubscribe(name)
        await eventually(lambda: not valkey.run("PUBSUB", "CHANNELS", f"{node_prefix(node)}:*"))


async def test_subscribing_and_unsubscribing_in_any_order_ends_as_the_last_said(valkey: RedisServer) -> None:
    chance = random.Random(7)
    async with running(valkey.url()) as node:
        entered: set[str] = set()
        waiting: list[asyncio.Task[Position | None]] = []
        for _ in range(600):
            room = f"room{chance.randrange(8)}"
            if chance.random() < 0.5:
                waiting.append(asyncio.create_task(node.broker.subscribe(room, KEEP)))
                entered.add(room)
                await asyncio.sleep(0)  # the task has begun
            else:
                node.broker.unsubscribe(room)
                entered.discard(room)
            if chance.random() < 0.2:
                await asyncio.sleep(0.001)
            if chance.random() < 0.05:
                chance.choice(waiting or [asyncio.create_task(asyncio.sleep(0))]).cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in outcomes} <= {Position, BrokerError, asyncio.CancelledError}
        for number in range(8):
            await node.broker.publish(f"room{number}", "x", history=KEEP)
        await eventually(lambda: {one.room for one in node.delivered} >= entered)
        await turns()
        assert {one.room for one in node.delivered} == entered

        def channels() -> int:
            return len(valkey.run("PUBSUB", "CHANNELS", f"{node_prefix(node)}:*"))

        await eventually(lambda: channels() == len(entered))


async def test_a_caller_who_gives_up_subscribing_does_not_take_others_with_him(valkey: RedisServer) -> None:
    async with running(valkey.url()) as node:
        first = asyncio.create_task(node.broker.subscribe("r", KEEP))
        second = asyncio.create_task(node.broker.subscribe("r", KEEP))
        await asyncio.sleep(0)
        first.cancel()
        assert await second is not None
        await node.fill("a", history=KEEP)
        assert await node.payloads(1) == ["a"]


async def test_a_room_left_while_it_is_entered_is_not_entered(valkey: RedisServer) -> None:
    async with running(valkey.url()) as node:
        entering = asyncio.create_task(node.broker.subscribe("r", KEEP))
        await asyncio.sleep(0)
        node.broker.unsubscribe("r")
        with pytest.raises(BrokerError, match="meanwhile"):
            await entering


async def test_stopping_answers_all_who_wait(valkey: RedisServer) -> None:
    async with running(valkey.url()) as node:
        valkey.freeze()
        try:
            waiting = [
                asyncio.create_task(node.broker.publish("r", "a", history=KEEP)),
                asyncio.create_task(node.broker.subscribe("s", KEEP)),
            ]
            await turns()
            await node.broker.stop()
        finally:
            valkey.thaw()
        for task in waiting:
            with pytest.raises(BrokerError):
                await task
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
