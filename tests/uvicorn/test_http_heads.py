"""Request heads: a deadline, and limits on their size."""

import ast
import asyncio
import time
from typing import Any

import pytest
from framework_apps import echo
from uvicorn_servers import HANDSHAKE, eventually
from websockets.asyncio.client import connect

from hubbub.uvicorn import HttpProtocol
from hubbub.uvicorn.handshake import MAX_HEAD

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class QuickHttp(HttpProtocol):
    """The same with a short deadline."""

    head_timeout = 0.5


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_slow_heads_are_cut_off_and_others_go_on(serve: Any, raw_client: Any, loop: str) -> None:
    server = serve(echo, http=QuickHttp, loop=loop)
    starts = [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConn"]
    started = time.monotonic()
    clients = [await raw_client(server.port) for _ in range(40)]
    for number, client in enumerate(clients):
        await client.send(starts[number % 4])
    async with connect(server.url) as good:
        await good.send("meanwhile")
        assert await good.recv() == "meanwhile"
        assert time.monotonic() - started < 0.5 or len(server.state.connections) <= 41
        assert await asyncio.gather(*(client.ended(5) for client in clients)) == [b""] * 40
        await good.send("still")
        assert await good.recv() == "still"
    await eventually(server.is_empty, "all are gone")


async def test_a_byte_now_and_then_does_not_move_the_deadline(serve: Any, raw_client: Any) -> None:
    server = serve(echo, http=QuickHttp)
    client = await raw_client(server.port)
    ended = asyncio.create_task(client.ended(5))
    for byte in b"GET /slow HTTP/1.1\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy":
        if ended.done():
            break
        try:
            await client.send(bytes((byte,)))
        except ConnectionError:
            break
        await asyncio.wait({ended}, timeout=0.05)
    assert await ended == b""


async def test_the_deadline_holds_for_each_request_of_a_connection(serve: Any, raw_client: Any) -> None:
    server = serve(echo, http=QuickHttp, timeout_keep_alive=60)
    client = await raw_client(server.port)
    for _ in range(2):
        await client.send(GET)
        assert b"alive" in await asyncio.wait_for(client.reader.readuntil(b"0\r\n\r\n"), 5)
    await client.send(GET[:10])
    assert await client.ended(5) == b""


async def test_a_request_that_takes_long_to_answer_is_not_cut_off(serve: Any, raw_client: Any) -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1.5)
        await echo(scope, receive, send)

    server = serve(slow, http=QuickHttp)
    client = await raw_client(server.port)
    await client.send(GET)
    assert b"alive" in await asyncio.wait_for(client.reader.readuntil(b"0\r\n\r\n"), 5)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 9_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 130 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 3 * MAX_HEAD,
    ],
    ids=["request line", "header line", "number of headers", "a line that never ends"],
)
@pytest.mark.parametrize("pieces", [1, 50])
async def test_a_large_head_is_refused(serve: Any, raw_client: Any, head: bytes, pieces: int) -> None:
    server = serve(echo, http=HttpProtocol)
    client = await raw_client(server.port)
    step = len(head) // pieces
    for at in range(0, len(head), step):
        try:
            await client.send(head[at : at + step])
        except ConnectionError:
            break
        await asyncio.sleep(0)
    assert (await client.ended(5)).startswith(b"HTTP/1.1 431 ")
    good = await raw_client(server.port)
    await good.send(GET)
    assert b"alive" in await asyncio.wait_for(good.reader.readuntil(b"0\r\n\r\n"), 5)


async def test_without_httptools_it_is_h11_with_the_same_deadline(spawn: Any, raw_client: Any) -> None:
    server = spawn("framework_apps:echo", "--http", "without_httptools:QuickHttp")
    slow = await raw_client(server.port)
    await slow.send(GET[:10])
    large = await raw_client(server.port)
    await large.send(b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD)
    async with connect(server.url) as client:
        await client.send("hello")
        assert await client.recv() == "hello"
    assert await slow.ended(5) == b""
    await large.ended(5)
    assert "base: H11Protocol" in await asyncio.to_thread(server.terminate)


@pytest.mark.parametrize("ws", ["hubbub.uvicorn:WebSocketProtocol", "websockets-sansio"])
@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_handshake_gives_the_same_scope_whole_or_in_pieces(
    serve: Any, raw_client: Any, ws: str, pieces: int
) -> None:
    async def tell(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told = (scope["client"], scope["server"], scope["headers"])
        await send({"type": "websocket.send", "text": repr(told)})
        await receive()

    server = serve(tell, http=HttpProtocol, ws=ws)
    client = await raw_client(server.port)
    request = HANDSHAKE.format(path="/", more="X-Mixed-Case: Value\r\n").encode()
    step = -(-len(request) // pieces)
    for at in range(0, len(request), step):
        await client.send(request[at : at + step])
        await asyncio.sleep(0.01)
    await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5)
    address, own, headers = ast.literal_eval((await client.frame())[1].decode())
    assert address == client.writer.get_extra_info("sockname")
    assert own == client.writer.get_extra_info("peername")
    assert headers[0] == (b"host", b"localhost")
    assert headers[-1] == (b"x-mixed-case", b"Value")
