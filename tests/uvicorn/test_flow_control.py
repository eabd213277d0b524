"""Apps that lag and clients that lag: both wait, nothing is lost, nothing grows."""

import asyncio
import socket
from typing import Any

import pytest
from uvicorn_servers import after_accept, frame_of
from uvicorn_servers import eventually as poll
from websockets.asyncio.client import connect

from hubbub.uvicorn import WebSocketProtocol

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


@LOOPS
async def test_reading_pauses_when_the_app_lags_and_nothing_is_lost(
    serve: Any, raw_client: Any, loop: str
) -> None:
    go = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def lag(receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await go.wait()
        count = 0
        while (event := await receive())["type"] == "websocket.receive":
            assert int(event["text"][:6]) == count
            count += 1
        await send({"type": "websocket.close"})

    server = serve(after_accept(lag), loop=loop, ws_max_queue=8)
    client = await raw_client(server.port)
    await client.upgrade()
    total = 20_000
    stream = b"".join(frame_of(0x81, b"%06d%0994d" % (number, 0)) for number in range(total))
    sending = asyncio.create_task(client.send(stream + frame_of(0x88, b"\x03\xe8")))
    await poll(lambda: bool(loops), "the app runs")
    done, _ = await asyncio.wait({sending}, timeout=0.5)
    assert not done, "20 MB went into a server whose app reads nothing"
    (connection,) = server.state.connections
    assert len(connection._queue) <= 8 + 64
    loops[0].call_soon_threadsafe(go.set)
    await asyncio.wait_for(sending, 20)
    assert await client.closed() == (1000, "")


@LOOPS
async def test_send_waits_while_the_client_does_not_read(serve: Any, raw_client: Any, loop: str) -> None:
    sent: list[int] = []

    async def flood(receive: Any, send: Any) -> None:
        for number in range(400):
            await send({"type": "websocket.send", "bytes": number.to_bytes(2, "big") * 32_768})
            sent.append(number)

    server = serve(after_accept(flood), loop=loop)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1_024)
    client = type(await raw_client(server.port))(reader, writer)
    await client.upgrade()
    previous = -1
    while previous != len(sent) or not sent:  # until it stands still
        previous = len(sent)
        await asyncio.sleep(0.2)
    assert len(sent) < 400
    (connection,) = (one for one in server.state.connections if isinstance(one, WebSocketProtocol))
    assert connection.paused
    assert connection.buffered() < 1_000_000
    for number in range(400):
        first, payload = await client.frame()
        assert (first, payload) == (0x82, number.to_bytes(2, "big") * 32_768)
    assert (await client.frame())[0] == 0x88
    client.close()


async def test_a_cancelled_receive_loses_nothing(serve: Any) -> None:
    async def impatient(receive: Any, send: Any) -> None:
        count = 0
        while count < 500:
            task = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            if not task.done():
                asyncio.get_running_loop().call_soon(task.cancel)
            try:
                event = await task
            except asyncio.CancelledError:
                continue
            assert event["text"] == str(count)
            count += 1
        await send({"type": "websocket.send", "text": "all"})

    server = serve(after_accept(impatient))
    async with connect(server.url) as client:
        for number in range(500):
            await client.send(str(number))
        assert await asyncio.wait_for(client.recv(), 20) == "all"


async def test_two_tasks_may_receive(serve: Any) -> None:
    async def two(receive: Any, send: Any) -> None:
        events = await asyncio.gather(receive(), receive())
        await send({"type": "websocket.send", "text": " ".join(sorted(event["text"] for event in events))})
        await receive()

    server = serve(after_accept(two))
    async with connect(server.url) as client:
        await client.send("a")
        await client.send("b")
        assert await asyncio.wait_for(client.recv(), 10) == "a b"
