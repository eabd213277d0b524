"""Brokers on a SQLite file, as the tests start and read them."""

import contextlib
from collections.abc import AsyncIterator

from broker_node import Node

from hubbub import History
from hubbub.brokers.sqlite import SqliteBroker

LARGE = History(size=100_000, ttl=3600.0)


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
