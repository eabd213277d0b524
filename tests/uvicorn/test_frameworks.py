"""FastAPI and Starlette on the protocol class."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from framework_apps import api, left
from uvicorn_servers import eventually, running
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with running(api, loop=request.param, http="hubbub.uvicorn:HttpProtocol") as one:
        yield one


@pytest.fixture(autouse=True)
def _forget() -> None:
    left.clear()


async def test_a_route_with_parameters_talks_json(server: Any) -> None:
    async with connect(f"{server.url}/json/ada?shout=true", subprotocols=["greet"]) as client:  # type: ignore[list-item]
        assert client.response is not None
        assert (client.subprotocol, client.response.headers["x-hello"]) == ("greet", "ada")
        await client.send('{"say": "hé"}')
        assert json.loads(await client.recv()) == {"to": "ADA", "say": "hé"}
    await eventually(lambda: left == [0], "the loop ends when the client leaves")


async def test_a_route_sees_the_close_code(server: Any) -> None:
    async with connect(f"{server.url}/catch") as client:
        await client.send(b"x")
        assert await client.recv() == b"x"
        await client.close(4100)
    await eventually(lambda: left == [4100], "the route is told")


async def test_an_exception_closes_with_its_code(server: Any) -> None:
    async with connect(f"{server.url}/policy") as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (1008, "not you")


@pytest.mark.parametrize(("path", "status"), [("/refused", 403), ("/denied", 503), ("/nowhere", 403)])
async def test_a_refusal_before_accept_is_an_http_response(server: Any, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(server.url + path)
    assert caught.value.response.status_code == status
    if status == 503:
        assert json.loads(bytes(caught.value.response.body or b"")) == {"why": "full"}


async def test_http_requests_go_on_beside_it(server: Any) -> None:
    def get() -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/left", timeout=10) as response:
            return json.load(response)

    import asyncio

    assert await asyncio.to_thread(get) == []
