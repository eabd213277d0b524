"""Who a connection belongs to, and how long that holds."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from guests import route
from polling import eventually
from starlette.websockets import WebSocket

from hubbub import Hub, User
from hubbub.asgi.sockets import USER
from hubbub.hub.reception import LONGEST_WAIT
from hubbub.testing import connect


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub() as hub:
        yield hub


async def test_the_user_that_a_dependency_left_is_the_connections(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        websocket.scope[USER] = User("ada")
        async with hub.connection(websocket) as me:
            await me.send(me.user.id if me.user else None)

    async with connect(route(handler)) as client:
        assert await client.receive() == "ada"


async def test_a_connection_ends_with_its_users_credentials(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        user = User("ada", expires_at=time.time() + 0.1)
        async with hub.connection(websocket, user=user) as me:
            await me.wait_closed()

    async with connect(route(handler)) as client:
        await eventually(lambda: hub.connection_count == 1)
        end = await client.wait_closed(timeout=5)
        assert (end.code, end.reason) == (4401, "token expired")
    assert hub.connection_count == 0


async def test_a_user_whose_credentials_have_ended_is_closed_at_once(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket, user=User("ada", expires_at=time.time() - 1)) as me:
            await me.wait_closed()

    async with connect(route(handler)) as client:
        assert (await client.wait_closed()).code == 4401


async def test_an_end_that_is_far_away_is_looked_at_again_before(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        user = User("ada", expires_at=time.time() + 10 * LONGEST_WAIT)
        async with hub.connection(websocket, user=user) as me:
            await me.wait_closed()

    async with connect(route(handler)):
        await eventually(lambda: hub.connection_count == 1)
        expiry = hub.connections[0].expiry
        assert expiry is not None
        assert expiry.due <= asyncio.get_running_loop().time() + LONGEST_WAIT


@pytest.mark.filterwarnings("ignore:Using `httpx`")  # newer Starlettes prefer another client
def test_starlettes_own_test_client_works_too() -> None:
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.testclient import TestClient
    from starlette.websockets import WebSocketDisconnect

    hub = Hub()

    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me, me.join("r"):
            async for text in me.iter_text():
                await hub.broadcast_to_room("r", text)

    app = Starlette(routes=[WebSocketRoute("/", handler)], lifespan=hub.lifespan)
    with TestClient(app) as client:
        with client.websocket_connect("/") as ada, client.websocket_connect("/") as bob:
            ada.send_text("hello")
            assert (ada.receive_text(), bob.receive_text()) == ("hello", "hello")
            bob.send_bytes(b"binary")
            assert bob.receive_json()["type"] == "error"
            with pytest.raises(WebSocketDisconnect) as caught:
                bob.receive_text()
            assert caught.value.code == 1003
        assert hub.stats.opened == 2
    assert (hub.running, hub.connection_count) == (False, 0)
