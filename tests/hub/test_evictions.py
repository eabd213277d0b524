"""Clients that flood together are ended a few at a time: counted in turns of the event loop."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise

from fastapi import WebSocket
from guests import route
from polling import eventually

from hubbub import Hub, Protection, Rate
from hubbub.core.stats import RefusalReason
from hubbub.hub.evictions import PER_TURN
from hubbub.testing import connect

FLOODERS = 3 * PER_TURN + 1


async def test_a_turn_ends_so_many_and_who_waits_for_its_end_is_told_nothing_more() -> None:
    ends: list[str] = []
    async with (
        Hub(protection=Protection(messages=Rate(0.001, 1), strikes=1)) as hub,
        AsyncExitStack() as stack,
    ):

        async def handler(websocket: WebSocket) -> None:
            async with hub.connection(websocket) as me:
                async for _ in me:
                    pass
            ends.append(me.id)

        clients = [await stack.enter_async_context(connect(route(handler))) for _ in range(FLOODERS)]
        connections = hub.connections
        assert len(connections) == FLOODERS
        for connection in connections:
            for _ in range(3):
                connection.received("x")
        refused = hub.stats.refused[RefusalReason.RATE]
        for connection in connections:
            connection.received("said while it waits")
        assert not ends
        closed = []
        for _ in range(12):
            closed.append(sum(one.closed is not None for one in connections))
            await asyncio.sleep(0)
        steps = [after - before for before, after in pairwise(closed)]
        assert max(steps) == PER_TURN, closed
        assert closed[-1] == FLOODERS
        assert {(one.closed.code, one.closed.reason) for one in connections if one.closed} == {
            (1008, "too many messages")
        }
        assert hub.stats.refused[RefusalReason.RATE] == refused + FLOODERS
        await eventually(lambda: len(ends) == FLOODERS)
        told = [await clients[0].receive() for _ in range(2)]
        assert len(set(told)) == 1
