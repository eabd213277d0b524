"""How a handler ends decides how its client is closed."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from guests import route
from polling import eventually
from starlette.exceptions import WebSocketException
from starlette.websockets import WebSocket

from hubbub import BadMessage, BrokerError, Disconnected, Hub, Refused, Unauthorized
from hubbub.core.errors import InvalidRoomName, MessageTooBig
from hubbub.testing import connect


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with Hub() as hub:
        yield hub


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (None, 1000, None),
        (Refused("not you"), 1008, "not you"),
        (Unauthorized("secret detail"), 1008, "Unauthorized"),
        (InvalidRoomName("bad name"), 1008, "bad name"),
        (BadMessage("what?"), 1007, "what?"),
        (MessageTooBig("too big"), 1009, "too big"),
        (BrokerError("broker is away"), 1013, None),
        (WebSocketException(4123, "own"), 4123, None),
    ],
)
async def test_an_expected_end_closes_with_its_code_and_raises_nothing(
    hub: Hub, error: Exception | None, code: int, told: str | None
) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            if error is not None:
                raise error

    async with connect(route(handler)) as client:
        if told is not None:
            assert await client.receive_json() == {"type": "error", "msg": told}
        assert (await client.wait_closed()).code == code
    assert hub.connection_count == 0


async def test_an_unexpected_error_closes_with_1011_and_goes_on_to_the_server(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            raise ZeroDivisionError

    async with connect(route(handler), raise_app_exceptions=False) as client:
        end = await client.wait_closed()
        assert (end.code, end.reason) == (1011, "")
        await eventually(lambda: isinstance(client.error, ZeroDivisionError))
    assert hub.connection_count == 0


@pytest.mark.parametrize("own", [True, False], ids=["me.receive", "websocket.receive_text"])
async def test_a_client_that_has_gone_is_no_error(hub: Hub, own: bool) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            while True:
                await (me.receive() if own else websocket.receive_text())

    async with connect(route(handler)) as client:
        client.drop()
    assert hub.connection_count == 0


async def test_a_client_that_has_gone_is_no_error_in_a_task_group(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me, asyncio.TaskGroup() as group:
            group.create_task(me.receive())
            group.create_task(asyncio.Event().wait())

    async with connect(route(handler)) as client:
        client.drop()
    assert hub.connection_count == 0


async def test_another_clients_end_is_an_error_of_this_handler(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            raise Disconnected(1000)

    async with connect(route(handler), raise_app_exceptions=False) as client:
        assert (await client.wait_closed()).code == 1011


async def test_a_cancelled_handler_says_that_it_goes_away(hub: Hub) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            raise asyncio.CancelledError

    async with connect(route(handler), raise_app_exceptions=False) as client:
        assert (await client.wait_closed()).code == 1001


async def test_a_refusal_is_logged_without_a_traceback(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            raise Refused("not you")

    with caplog.at_level(logging.INFO, "hubbub"):
        async with connect(route(handler)) as client:
            await client.wait_closed()
    assert "not you" in caplog.text
    assert "Traceback" not in caplog.text
