"""What the protocol class does on a real socket beyond the plain conversation: ends, limits, flow control."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn_servers import eventually as poll
from uvicorn_servers import frame_of
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubbub.uvicorn import SocketLimits, WebSocketProtocol
from hubbub.uvicorn.endpoint import DRAIN, Drain

LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


class QuickProtocol(WebSocketProtocol):
    """The same with short deadlines."""

    __slots__ = ()

    limits = SocketLimits(close_timeout=0.3, shutdown_timeout=0.3)


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def after_accept(action: Callable[[Any, Any], Any]) -> Any:
    """Return an app that accepts and then does `action(receive, send)`."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await action(receive, send)

    return app


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


async def test_a_violation_closes_with_its_code_while_the_client_still_sends(serve: Any) -> None:
    server = serve(echo, ws_max_size=1_000)
    async with connect(server.url, compression=None) as client:
        await client.send(b"x" * 1_000)
        assert await client.recv() == b"x" * 1_000
        # More than any socket buffer holds: the library is still writing when the close frame comes.
        with pytest.raises(ConnectionClosed):
            await client.send(b"x" * 30_000_000)
            await client.recv()
        assert (client.close_code, client.close_reason) == (1009, "over 1000 bytes")


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


# Keepalive


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


# Flow control


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
