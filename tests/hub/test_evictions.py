"""Clients that flood together are ended a few at a time: counted in turns of the event loop."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import jwt
import pytest
from fastapi import WebSocket
from guests import route
from polling import eventually
from starlette.applications import Starlette

from hubbub import Hub, Protection, Rate, User
from hubbub.auth import Tokens
from hubbub.connection import Connection
from hubbub.core.stats import RefusalReason
from hubbub.gateway import TokenVerifier, revocations
from hubbub.gateway.driver import Driver
from hubbub.gateway.revocations import Revocations
from hubbub.gateway.user_commands import DisconnectUser, Target
from hubbub.hub.evictions import PER_TURN
from hubbub.testing import Client, connect

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


SAY = '{"id":2,"rpc":{"method":"x"}}'


@asynccontextmanager
async def sdk_clients(hub: Hub, token: str = "") -> AsyncIterator[list[Client]]:
    """So many clients of the Centrifuge protocol, all connected."""
    app = Starlette(routes=[*hub.routes])
    async with hub, AsyncExitStack() as stack:
        clients = []
        for _ in range(FLOODERS):
            client = await stack.enter_async_context(connect(app, "/connection/websocket"))
            await client.send(json.dumps({"id": 1, "connect": {"token": token}}))
            await client.receive()
            clients.append(client)
        yield clients


async def ended_in_turns(connections: list[Connection]) -> list[int]:
    """How many were closed in each of the next turns."""
    closed = [0]
    for _ in range(12):
        closed.append(sum(one.closed is not None for one in connections))
        await asyncio.sleep(0)
    return [after - before for before, after in pairwise(closed)]


async def test_clients_of_the_protocol_that_flood_are_ended_a_few_in_a_turn() -> None:
    hub = Hub(protection=Protection(messages=Rate(0.001, 1), strikes=1), anonymous=True)
    assert hub.routes, "which are made before the hub runs"
    async with sdk_clients(hub) as clients:
        subjects, connections = hub.gateway.everywhere.clients.all, hub.connections
        for subject in subjects:
            assert isinstance(subject, Driver)
            for _ in range(3):
                subject.receive(SAY)
        refused = hub.stats.refused[RefusalReason.RATE]
        for subject in subjects:
            assert isinstance(subject, Driver)
            subject.receive(SAY)
        assert hub.stats.refused[RefusalReason.RATE] == refused, "who waits for its end is not heard"
        steps = await ended_in_turns(connections)
        assert max(steps) == PER_TURN, steps
        assert sum(steps) == FLOODERS
        assert {int((await client.wait_closed()).code) for client in clients} == {3013}


SECRET = "a secret of the tests, long enough for a token"


@pytest.mark.parametrize("asked_by", ["the application", "a backend"])
async def test_the_many_clients_of_a_user_are_ended_a_few_in_a_turn(asked_by: str) -> None:
    hub = Hub(tokens=TokenVerifier(SECRET))
    assert hub.routes
    async with sdk_clients(hub, Tokens(SECRET).issue("ada")) as clients:
        connections = hub.connections
        command = DisconnectUser(Target("ada"), 4500, "enough")
        asking = asyncio.create_task(
            hub.disconnect_user("ada", 4500, "enough")
            if asked_by == "the application"
            else hub.gateway.everywhere.tell(command)
        )
        steps = await ended_in_turns(connections)
        await asking
        assert max(steps) == PER_TURN, steps
        assert sum(steps) == FLOODERS
        assert {int((await client.wait_closed()).code) for client in clients} == {4500}


def revoking(known: Revocations, what: str) -> Coroutine[None, None, None]:
    if what == "user":
        return known.block("ada", None)
    if what == "token":
        return known.revoke("one", None)
    return known.invalidate("ada", "", time.time() + 60, None)


@pytest.mark.parametrize(("what", "codes"), [("user", {3507}), ("token", {3500}), ("tokens", {3500})])
async def test_those_whose_credentials_are_revoked_are_ended_a_few_in_a_turn(
    what: str, codes: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "PER_TURN", FLOODERS - 1)  # who is left is judged in the next turn
    hub = Hub(tokens=TokenVerifier(SECRET))
    assert hub.routes
    ada = User("ada", {"jti": "one", "iat": 1}, time.time() + 60)

    async def plain(websocket: WebSocket) -> None:
        async with hub.connection(websocket, user=ada) as me:
            await me.wait_closed()

    token = jwt.encode({"sub": "ada", "jti": "one", "iat": 1, "exp": time.time() + 60}, SECRET)
    async with sdk_clients(hub, token) as clients, connect(route(plain)) as client:
        await eventually(lambda: hub.connection_count == FLOODERS + 1)
        connections = hub.connections
        asking = asyncio.create_task(revoking(hub.gateway.everywhere.revocations, what))
        steps = await ended_in_turns(connections)
        await asking
        assert max(steps) == PER_TURN, steps
        assert sum(steps) == FLOODERS + 1
        assert {int((await client.wait_closed()).code) for client in clients} == codes
        assert (await client.wait_closed()).code == 1008


async def test_those_whose_credentials_end_at_the_same_time_are_ended_a_few_in_a_turn() -> None:
    until = time.time() + 60
    async with Hub() as hub, AsyncExitStack() as stack:

        async def handler(websocket: WebSocket) -> None:
            async with hub.connection(websocket, user=User("ada", expires_at=until)) as me:
                await me.wait_closed()

        clients = [await stack.enter_async_context(connect(route(handler))) for _ in range(FLOODERS)]
        await eventually(lambda: hub.connection_count == FLOODERS)
        connections = hub.connections
        for connection in connections:
            connection.user = User("ada", expires_at=0.0)
            assert connection.expiry is not None
            assert connection.expiry.action is not None
            connection.expiry.action()  # as the hub's clock does with all that are due
        steps = await ended_in_turns(connections)
        assert max(steps) == PER_TURN, steps
        assert sum(steps) == FLOODERS
        assert {(await client.wait_closed()).code for client in clients} == {4401}
