"""What the protocol class does on a real socket beyond the plain conversation: ends and limits."""

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn_servers import after_accept, echo, frame_of, running
from uvicorn_servers import eventually as poll
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosed

from hubbub.uvicorn import SocketLimits, WebSocketProtocol
from hubbub.uvicorn.endpoint import DRAIN, Drain

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


class QuickProtocol(WebSocketProtocol):
    """The same with short deadlines."""

    __slots__ = ()

    limits = SocketLimits(close_timeout=0.3, shutdown_timeout=0.3)


# How it ends


async def test_an_app_that_crashes_closes_1011(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def crash(receive: Any, send: Any) -> None:
        raise LookupError("planted")

    server = serve(after_accept(crash))
    async with connect(server.url) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1011
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [LookupError]


async def test_an_app_that_returns_closes_1000(serve: Any) -> None:
    async def leave(receive: Any, send: Any) -> None:
        await send({"type": "websocket.send", "text": "that was all"})

    server = serve(after_accept(leave))
    async with connect(server.url) as client:
        assert await client.recv() == "that was all"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1000


@LOOPS
async def test_shutdown_closes_1012_and_the_app_is_told(serve: Any, raw_client: Any, loop: str) -> None:
    events: list[Any] = []

    async def listen(receive: Any, send: Any) -> None:
        events.append(await receive())

    server = serve(after_accept(listen), loop=loop, ws=QuickProtocol)
    silent = await raw_client(server.port)
    await silent.upgrade()
    async with connect(server.url) as client:
        server.server.should_exit = True
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1012
    assert await silent.closed() == (1012, "")
    assert events == [{"type": "websocket.disconnect", "code": 1012}] * 2


async def test_shutdown_refuses_a_request_that_the_app_has_not_answered(serve: Any, raw_client: Any) -> None:
    async def hesitate(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await receive()

    server = serve(hesitate)
    client = await raw_client(server.port)
    waiting = asyncio.create_task(client.upgrade())
    await poll(lambda: bool(server.state.tasks), "the app runs")
    server.server.should_exit = True
    assert (await waiting).startswith(b"HTTP/1.1 503 ")


@LOOPS
async def test_a_client_that_does_not_answer_a_close_is_dropped(
    serve: Any, raw_client: Any, loop: str
) -> None:
    async def close(receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 4000, "reason": "enough"})

    server = serve(after_accept(close), ws=QuickProtocol, loop=loop)
    client = await raw_client(server.port)
    await client.upgrade()
    assert await client.frame() == (0x88, b"\x0f\xa0enough")
    await client.ended(5)


@LOOPS
async def test_a_client_that_goes_on_sending_after_a_close_is_dropped_long_before_the_deadline(
    serve: Any, raw_client: Any, loop: str
) -> None:
    async def close(receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    class PatientProtocol(WebSocketProtocol):
        __slots__ = ()

        limits = SocketLimits(close_timeout=600, closing_bytes=100_000)

    server = serve(after_accept(close), ws=PatientProtocol, loop=loop)
    client = await raw_client(server.port)
    await client.upgrade()
    await client.send(frame_of(0x81, b"first"))
    assert await client.frame() == (0x88, b"\x03\xf0")
    await client.send(frame_of(0x81, bytes(60_000)))
    await client.send(frame_of(0x81, bytes(60_000)))
    await client.ended(10)


async def test_a_close_is_answered_by_a_client_that_never_sent_a_frame(serve: Any, raw_client: Any) -> None:
    closed = asyncio.Event()

    async def leave(receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 4000})
        loop.call_soon_threadsafe(closed.set)

    loop = asyncio.get_running_loop()
    server = serve(after_accept(leave))
    client = await raw_client(server.port)
    await client.upgrade()
    await closed.wait()
    await client.send(frame_of(0x88, (4000).to_bytes(2, "big")))
    assert await client.closed() == (4000, "")
    await poll(server.is_empty, "the connection ends long before its deadline", 5)


@LOOPS
async def test_messages_after_our_close_are_ignored_until_the_client_answers(
    serve: Any, raw_client: Any, loop: str
) -> None:
    async def close(receive: Any, send: Any) -> None:
        await send({"type": "websocket.close"})
        assert (await receive())["type"] == "websocket.disconnect"

    server = serve(after_accept(close), loop=loop)
    client = await raw_client(server.port)
    await client.upgrade()
    await client.frame()
    await client.send(frame_of(0x81, b"late") * 100 + frame_of(0x88, b"\x03\xe8"))
    assert await client.ended() == b""


async def test_nothing_is_left_of_a_connection(serve: Any) -> None:
    server = serve(echo)
    for _ in range(20):
        async with connect(server.url) as client:
            await client.send("x")
            await client.recv()
    await poll(server.is_empty, "no connection and no task is left")
    endpoint = server.state.hubbub_endpoint
    queues = (endpoint.pings, endpoint.pongs, endpoint.closing, endpoint.leaving)
    await poll(lambda: not any(map(len, queues)), "no deadline is left")


async def test_draining_refuses_new_connections_with_503(serve: Any, raw_client: Any) -> None:
    server = serve(echo)
    async with connect(server.url) as client:
        drain = server.state.hubbub_endpoint.app_state[DRAIN] = Drain()
        drain.active = True
        late = await raw_client(server.port)
        answer = await late.upgrade()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in answer
        await client.send("still here")
        assert await client.recv() == "still here"


async def test_after_the_disconnect_receive_raises_instead_of_waiting_for_ever(serve: Any) -> None:
    outcome: asyncio.Queue[Any] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def go_on(receive: Any, send: Any) -> None:
        codes = []
        try:
            while True:
                codes.append((await receive())["code"])
        except ClientDisconnected:
            loop.call_soon_threadsafe(outcome.put_nowait, codes)
            raise

    server = serve(after_accept(go_on))
    async with connect(server.url) as client:
        await client.close(4001)
    assert await asyncio.wait_for(outcome.get(), 10) == [4001, 1005]


# Limits


async def test_a_violation_closes_with_its_code_while_the_client_still_sends(
    serve: Any, raw_client: Any
) -> None:
    server = serve(echo, ws_max_size=1_000)
    client = await raw_client(server.port)
    await client.upgrade()
    # More than any socket buffer holds: the client is still writing when the close frame comes.
    sending = asyncio.create_task(client.send(frame_of(0x82, b"x" * 30_000_000)))
    assert await client.closed() == (1009, "over 1000 bytes")
    await asyncio.wait_for(sending, 10)


@pytest.mark.parametrize("payload", [b"", b"x"])
async def test_a_message_in_too_many_fragments_closes_1009(
    serve: Any, raw_client: Any, payload: bytes
) -> None:
    server = serve(echo)
    client = await raw_client(server.port)
    await client.upgrade()
    await client.send(frame_of(0x02, payload) + frame_of(0x00, payload) * 1_024)
    assert await client.closed() == (1009, "over 1024 small fragments")


@pytest.mark.parametrize("first", [0x89, 0x8A])
async def test_too_many_control_frames_close_1008(serve: Any, raw_client: Any, first: int) -> None:
    server = serve(echo)
    client = await raw_client(server.port)
    await client.upgrade()
    await client.send(frame_of(first, b"x") * 90)
    await client.send(frame_of(0x81, b"fine"))
    while (frame := await client.frame()) != (0x81, b"fine"):
        assert frame == (0x8A, b"x")
    await client.send(frame_of(first, b"x") * 90)
    while (frame := await client.frame())[0] != 0x88:
        assert frame == (0x8A, b"x")
    assert frame[1] == b"\x03\xf0too many control frames"


async def test_what_comes_before_the_app_accepts_is_kept_and_bounded(serve: Any, raw_client: Any) -> None:
    go = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def slow(scope: dict[str, Any], receive: Any, send: Any) -> None:
        loops.append(asyncio.get_running_loop())
        await go.wait()
        await echo(scope, receive, send)

    server = serve(slow)
    eager = await raw_client(server.port)
    waiting = asyncio.create_task(eager.upgrade())
    await poll(lambda: bool(server.state.tasks), "the app runs")
    await eager.send(frame_of(0x81, b"early"))
    flood = await raw_client(server.port)
    flooding = asyncio.create_task(flood.upgrade())
    await poll(lambda: len(server.state.tasks) == 2, "the app runs twice")
    await flood.send(b"x" * 70_000)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await flooding
    loops[0].call_soon_threadsafe(go.set)
    assert (await waiting).startswith(b"HTTP/1.1 101 ")
    assert await eager.frame() == (0x81, b"early")


async def test_bad_input_leaves_one_line_and_no_traceback(
    serve: Any, raw_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = serve(echo)
    client = await raw_client(server.port)
    await client.upgrade("/room?token=s3cret&x=1")
    await client.send(frame_of(0x81, b"\xff"))
    assert await client.closed() == (1007, "invalid UTF-8")
    lines = [record.getMessage() for record in caplog.records if "WebSocket" in record.getMessage()]
    assert [line.partition(" - ")[2] for line in lines] == [
        '"WebSocket /room?token=[redacted]&x=1" [accepted]',
        '"WebSocket" closed 1007: invalid UTF-8',
    ]
    assert "s3cret" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]


# Places


async def test_forwarded_headers_of_a_trusted_proxy_are_believed(serve: Any) -> None:
    async def tell(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": f"{scope['scheme']} {scope['client'][0]}"})
        await receive()

    server = serve(tell, proxy_headers=True, forwarded_allow_ips="127.0.0.1")
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    async with connect(server.url, additional_headers=headers) as client:
        assert await client.recv() == "wss 203.0.113.7"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")
@LOOPS
async def test_a_unix_socket_works_the_same_way(tmp_path: Path, loop: str) -> None:
    path = str(tmp_path / "socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    with running(echo, listener, loop=loop):
        async with unix_connect(path, "ws://localhost/") as client:
            await client.send("hello")
            assert await client.recv() == "hello"
