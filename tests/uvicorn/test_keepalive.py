"""Pings, and clients that do not answer or do not read."""

import asyncio
import socket
from typing import Any

import pytest
from uvicorn_servers import after_accept, echo, frame_of
from uvicorn_servers import eventually as poll
from websockets.asyncio.client import connect

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
async def test_a_client_that_answers_no_ping_is_closed_1011(serve: Any, raw_client: Any, loop: str) -> None:
    server = serve(echo, ws_ping_interval=0.1, ws_ping_timeout=0.2, loop=loop)
    client = await raw_client(server.port)
    await client.upgrade()
    assert (await client.frame())[0] == 0x89
    assert await client.frame() == (0x88, b"\x03\xf3keepalive ping timeout")
    await client.ended(5)


async def test_a_client_that_answers_pings_stays(serve: Any, raw_client: Any) -> None:
    server = serve(echo, ws_ping_interval=0.05, ws_ping_timeout=0.3)
    client = await raw_client(server.port)
    await client.upgrade()
    for _ in range(12):
        first, payload = await client.frame()
        assert first == 0x89
        await client.send(frame_of(0x8A, b"unasked") + frame_of(0x8A, payload))
    await client.send(frame_of(0x81, b"here"))
    while (frame := await client.frame())[0] == 0x89:
        await client.send(frame_of(0x8A, frame[1]))
    assert frame == (0x81, b"here")


async def test_without_a_ping_timeout_nobody_is_cut_off(serve: Any, raw_client: Any) -> None:
    server = serve(echo, ws_ping_interval=0.05, ws_ping_timeout=None)
    client = await raw_client(server.port)
    await client.upgrade()
    for _ in range(6):
        assert (await client.frame())[0] == 0x89
    (connection,) = server.state.connections
    assert len(connection._pending) == 1


@LOOPS
async def test_a_client_that_stops_reading_is_cut_off_although_much_is_buffered(
    serve: Any, loop: str
) -> None:
    outcome: list[str] = []

    async def flood(receive: Any, send: Any) -> None:
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 65_536})
        except OSError as error:
            outcome.append(type(error).__name__)
            raise

    server = serve(after_accept(flood), ws_ping_interval=0.2, ws_ping_timeout=0.2, loop=loop)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1_024)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    await poll(lambda: outcome == ["ClientDisconnected"], "the flood is stopped", 5)
    await poll(server.is_empty, "the connection is gone", 5)
    writer.close()


async def test_an_app_that_does_not_read_keeps_a_healthy_client(serve: Any) -> None:
    go = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def busy(receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await go.wait()
        received = [await receive() for _ in range(200)]
        await send({"type": "websocket.send", "text": received[-1]["text"]})
        await receive()

    server = serve(after_accept(busy), ws_ping_interval=0.1, ws_ping_timeout=0.2)
    async with connect(server.url, ping_interval=None) as client:
        for number in range(200):
            await client.send(str(number))
        await asyncio.sleep(1)  # three times what an unanswered ping may take
        loops[0].call_soon_threadsafe(go.set)
        assert await asyncio.wait_for(client.recv(), 10) == "199"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this platform has no TCP_USER_TIMEOUT")
@LOOPS
async def test_the_kernel_drops_a_connection_whose_data_is_not_acknowledged(serve: Any, loop: str) -> None:
    server = serve(echo, loop=loop)
    async with connect(server.url):
        (connection,) = server.state.connections
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
