"""Nodes of the Redis broker for the tests: started, subscribed, and perhaps behind a bad link."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from broker_node import Node
from polling import eventually
from redis_servers import RedisServer, new_prefix
from tcp_proxy import TcpProxy, tcp_proxy

from hubbub import BrokerError, History, Position
from hubbub.brokers.redis import RedisBroker

KEEP = History(size=10_000, ttl=60.0)
"""A history that keeps whatever a test publishes."""

IMPATIENT = "ping_interval=0.1&ping_timeout=0.4&connect_timeout=2"
"""Options of a URL that make a broker notice soon that a server is away."""


@asynccontextmanager
async def running(url: str, *rooms: str) -> AsyncIterator[Node]:
    """A started broker that is subscribed to rooms with history."""
    node = Node(RedisBroker.from_url(url))
    await node.broker.start(node)
    try:
        for room in rooms:
            await node.broker.subscribe(room, KEEP)
        yield node
    finally:
        await node.broker.stop()


@asynccontextmanager
async def behind_a_proxy(
    server: RedisServer, options: str = IMPATIENT
) -> AsyncIterator[tuple[Node, Node, TcpProxy]]:
    """A node behind a proxy, subscribed to "r", and one with a good link."""
    prefix = new_prefix()
    async with tcp_proxy(server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}?prefix={prefix}&{options}"
        async with running(url, "r") as far, running(server.url(prefix=prefix)) as near:
            yield far, near, proxy


def offsets(node: Node) -> list[int]:
    """The offsets of what was delivered."""
    return [one.position.offset for one in node.delivered if one.position]


async def publish_until_accepted(node: Node, room: str, payload: str) -> Position:
    """Publish again and again until the server takes it."""

    async def accepted() -> Position | None:
        try:
            return (await node.broker.publish(room, payload, history=KEEP)).position
        except BrokerError:
            return None

    position = await eventually(accepted, 20.0)
    assert position is not None
    return position
