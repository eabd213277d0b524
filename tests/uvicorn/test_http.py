"""The first bytes of a connection: what they are for, and what becomes of a connection without any."""

import asyncio
import os
import time
from typing import Any

import pytest
from uvicorn_servers import HANDSHAKE, echo, eventually, frame_of
from websockets.speedups import apply_mask as apply_mask_in_c

from hubbub.core.frames import apply_mask
from hubbub.uvicorn import HttpProtocol, protocol
from hubbub.uvicorn.http_responses import HttpResponseProtocol

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = HANDSHAKE.format(path="/", more="").encode()


async def page_or_echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"page"})


def kinds(server: Any) -> set[type]:
    """What the open connections of a server are."""
    return {type(one) for one in server.state.connections}


@LOOPS
async def test_http_is_made_only_for_a_connection_that_asks_for_http(
    serve: Any, raw_client: Any, loop: str
) -> None:
    server = serve(page_or_echo, http=HttpProtocol, loop=loop)
    silent = await raw_client(server.port)
    await eventually(lambda: kinds(server) == {HttpProtocol}, "the silent one waits at the door")
    silent.close()
    await eventually(server.is_empty, "it has left")
    socket = await raw_client(server.port)
    await socket.upgrade()
    assert kinds(server) == {protocol.WebSocketProtocol}
    page = await raw_client(server.port)
    await page.send(GET)
    await asyncio.wait_for(page.reader.readuntil(b"page"), 5)
    assert kinds(server) == {protocol.WebSocketProtocol, HttpResponseProtocol}


@LOOPS
async def test_a_handshake_may_follow_a_request_on_the_same_connection(
    serve: Any, raw_client: Any, loop: str
) -> None:
    server = serve(page_or_echo, http=HttpProtocol, loop=loop)
    client = await raw_client(server.port)
    await client.send(GET)
    await asyncio.wait_for(client.reader.readuntil(b"page"), 5)
    await client.upgrade()
    await client.send(frame_of(0x81, b"hello"))
    assert await client.frame() == (0x81, b"hello")


@pytest.mark.parametrize(
    ("written", "status"),
    [
        (UPGRADE.replace(b"websocket", b"WebSocket").replace(b"Upgrade: ", b"UPGRADE:\t"), 101),
        (UPGRADE.replace(b"Connection: Upgrade", b"connection: keep-alive, upgrade"), 101),
        (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: h2c"), 200),
        (UPGRADE.replace(b"Connection: Upgrade", b"Connection: upgraded"), 200),
        (UPGRADE.replace(b"\r\nUpgrade: websocket", b""), 200),
    ],
    ids=["another case", "a list", "another protocol", "another word", "no upgrade"],
)
async def test_what_asks_for_a_websocket_gets_one_and_nothing_else_does(
    serve: Any, raw_client: Any, written: bytes, status: int
) -> None:
    server = serve(page_or_echo, http=HttpProtocol)
    client = await raw_client(server.port)
    await client.send(written)
    answer = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
    assert answer.startswith(b"HTTP/1.1 %d " % status)


async def test_the_server_stops_at_once_when_a_connection_has_sent_nothing(
    serve: Any, raw_client: Any
) -> None:
    server = serve(page_or_echo, http=HttpProtocol)
    client = await raw_client(server.port)
    await eventually(lambda: kinds(server) == {HttpProtocol}, "the silent one waits at the door")
    started = time.monotonic()
    await asyncio.to_thread(server.stop)
    assert time.monotonic() - started < HttpProtocol.head_timeout
    assert await client.ended(5) == b""


def test_payloads_are_unmasked_in_c_where_websockets_is_installed() -> None:
    assert protocol._unmask is apply_mask_in_c
    for size in (0, 1, 3, 4, 5, 125, 126, 4_096, 4_097, 70_001):
        payload, mask = os.urandom(size), os.urandom(4)
        assert apply_mask_in_c(payload, mask) == apply_mask(payload, mask)
