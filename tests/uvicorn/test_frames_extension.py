"""The ASGI extension "hubbub.frames": ready frames straight to the socket, in order with the app's sends."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn_servers import eventually, frame_of
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from hubbub.core.deflate import encode_compressed_frame
from hubbub.core.frames import Opcode, encode_frame
from hubbub.uvicorn import DeflateWebSocketProtocol, FrameWriter, WebSocketProtocol


class BufferedProtocol(WebSocketProtocol):
    """The same without direct writes, as on a platform that has none."""

    __slots__ = ()

    direct_writes = False


LOOPS = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
PROTOCOLS = pytest.mark.parametrize("protocol", [WebSocketProtocol, BufferedProtocol])


def text(content: str) -> bytes:
    return encode_frame(Opcode.TEXT, content.encode())


class Writers:
    """An app that accepts, keeps each connection's writer, and then sends what the client asks for."""

    def __init__(self) -> None:
        self.writers: list[FrameWriter] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.loop = asyncio.get_running_loop()
        writer = scope["extensions"]["hubbub.frames"]["writer"]
        writer.write_frames(text("too early"))
        await receive()
        await send({"type": "websocket.accept"})
        self.writers.append(writer)
        while (event := await receive())["type"] == "websocket.receive":
            await self.answer(event["text"], writer, send)
        writer.write_frames(text("too late"))
        writer.abort()

    async def answer(self, wish: str, writer: FrameWriter, send: Any) -> None:
        if wish == "mixed":
            for number in range(0, 300, 3):
                await send({"type": "websocket.send", "text": str(number)})
                writer.write_frames(text(str(number + 1)) + text(str(number + 2)))
        elif wish == "ping":
            await send({"type": "websocket.send", "text": str(await writer.ping())})
        elif wish == "abort":
            writer.abort()
        elif wish == "deflate":
            await send({"type": "websocket.send", "text": str(writer.deflate)})
            writer.write_frames(encode_compressed_frame(Opcode.TEXT, b"hello " * 100))

    async def call(self, function: Any, *arguments: Any) -> Any:
        """Call something in the server's thread."""
        assert self.loop is not None

        async def run() -> Any:
            result = function(*arguments)
            return await result if asyncio.iscoroutine(result) else result

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self.loop))


@LOOPS
@PROTOCOLS
async def test_frames_and_sends_arrive_in_the_order_of_the_calls(
    serve: Any, protocol: Any, loop: str
) -> None:
    app = Writers()
    async with connect(serve(app, ws=protocol, loop=loop).url) as client:
        await client.send("mixed")
        assert [await client.recv() for _ in range(300)] == [str(number) for number in range(300)]


async def test_a_descriptor_is_written_only_where_that_is_safe(serve: Any) -> None:
    for protocol, direct in ((WebSocketProtocol, True), (BufferedProtocol, False)):
        app = Writers()
        async with connect(serve(app, ws=protocol).url):
            await eventually(lambda app=app: bool(app.writers), "the app accepts")
            assert (app.writers[0]._descriptor >= 0) == direct


@LOOPS
@PROTOCOLS
async def test_what_the_socket_does_not_take_is_buffered_in_order(
    serve: Any, raw_client: Any, protocol: Any, loop: str
) -> None:
    app = Writers()
    resumed: list[bool] = []
    client = await raw_client(serve(app, ws=protocol, loop=loop).port)
    await client.upgrade()
    await eventually(lambda: bool(app.writers), "the app accepts")
    (writer,) = app.writers
    writer.on_resume = lambda: resumed.append(writer.paused)

    def fill() -> int:
        count = 0
        while not writer.paused and count < 1_000:
            writer.write_frames(encode_frame(Opcode.BINARY, count.to_bytes(2, "big") * 50_000))
            count += 1
        writer.write_frames(text("last"))
        return count

    count = await app.call(fill)
    assert count < 1_000
    assert await app.call(writer.buffered) > 0
    for number in range(count):
        assert await client.frame() == (0x82, number.to_bytes(2, "big") * 50_000)
    assert await client.frame() == (0x81, b"last")
    await eventually(lambda: resumed == [False], "the hub is told that writing goes on")
    assert await app.call(writer.buffered) == 0


async def test_a_ping_takes_a_round_trip_and_fails_when_the_client_is_gone(
    serve: Any, raw_client: Any
) -> None:
    app = Writers()
    server = serve(app)
    async with connect(server.url) as client:
        await client.send("ping")
        assert 0 <= float(await client.recv()) < 5
    silent = await raw_client(server.port)
    await silent.upgrade()
    await eventually(lambda: len(app.writers) == 2, "the app accepts")
    waiting = asyncio.create_task(app.call(app.writers[1].ping))
    assert (await silent.frame())[0] == 0x89
    silent.close()
    with pytest.raises(ClientDisconnected):
        await waiting
    with pytest.raises(ClientDisconnected):
        await app.call(app.writers[1].ping)


async def test_a_later_pong_answers_earlier_pings_too(serve: Any, raw_client: Any) -> None:
    app = Writers()
    client = await raw_client(serve(app).port)
    await client.upgrade()
    await eventually(lambda: bool(app.writers), "the app accepts")
    pings = [asyncio.create_task(app.call(app.writers[0].ping)) for _ in range(3)]
    payloads = [(await client.frame())[1] for _ in pings]
    await client.send(frame_of(0x8A, payloads[1]))
    await asyncio.wait_for(asyncio.gather(*pings[:2]), 10)
    assert not pings[2].done()
    await client.send(frame_of(0x8A, payloads[2]))
    await asyncio.wait_for(pings[2], 10)


@LOOPS
async def test_abort_drops_the_connection_and_later_calls_are_ignored(
    serve: Any, raw_client: Any, loop: str
) -> None:
    app = Writers()
    server = serve(app, loop=loop)
    client = await raw_client(server.port)
    await client.upgrade()
    await client.send(frame_of(0x81, b"abort"))
    assert await client.ended() == b""
    await eventually(server.is_empty, "the app ends")
    (writer,) = app.writers
    await app.call(writer.write_frames, text("late"))
    await app.call(writer.abort)
    assert await app.call(writer.buffered) == 0


async def test_a_broadcast_is_compressed_once_for_clients_that_agreed(serve: Any) -> None:
    app = Writers()
    server = serve(app, ws=DeflateWebSocketProtocol)
    async with connect(server.url) as client:
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        await client.send("deflate")
        assert await client.recv() == "True"
        assert await client.recv() == "hello " * 100


@pytest.mark.parametrize(
    ("protocol", "option", "offer"),
    [
        (WebSocketProtocol, True, "permessage-deflate"),
        (DeflateWebSocketProtocol, False, "permessage-deflate"),
        (DeflateWebSocketProtocol, True, "x-other"),
        (DeflateWebSocketProtocol, True, "permessage-deflate; server_max_window_bits=8"),
    ],
)
async def test_compression_is_off_unless_both_sides_want_it(
    serve: Any, raw_client: Any, protocol: Any, option: bool, offer: str
) -> None:
    app = Writers()
    client = await raw_client(serve(app, ws=protocol, ws_per_message_deflate=option).port)
    answer = await client.upgrade(more=f"Sec-WebSocket-Extensions: {offer}\r\n")
    assert b"sec-websocket-extensions" not in answer.lower()
    await eventually(lambda: bool(app.writers), "the app accepts")
    assert not app.writers[0].deflate


async def test_an_inflate_bomb_is_refused_1009(serve: Any, raw_client: Any) -> None:
    client = await raw_client(serve(Writers(), ws=DeflateWebSocketProtocol, ws_max_size=65_536).port)
    await client.upgrade(more="Sec-WebSocket-Extensions: permessage-deflate\r\n")
    bomb = encode_compressed_frame(Opcode.BINARY, bytes(50_000_000))
    assert len(bomb) < 65_536
    await client.send(frame_of(bomb[0], bomb[4:]))
    assert await client.closed() == (1009, "over 65536 bytes")


@LOOPS
async def test_tls_works_the_same_way(serve: Any, raw_client: Any, certificate: Path, loop: str) -> None:
    app = Writers()
    server = serve(app, loop=loop, ssl_certfile=certificate)
    tls = ssl.create_default_context(cafile=str(certificate))
    async with connect(f"wss://127.0.0.1:{server.port}", ssl=tls) as client:
        await client.send("mixed")
        assert [await client.recv() for _ in range(300)] == [str(number) for number in range(300)]
        await client.send("ping")
        assert float(await client.recv()) >= 0
        assert app.writers[0]._descriptor == -1
        await client.send("abort")
        with pytest.raises(ConnectionClosed):
            await client.recv()
    rude = await raw_client(server.port, tls)
    await rude.upgrade()
    await rude.send(frame_of(0x83, b""))
    assert await rude.closed() == (1002, "unknown opcode")
    await eventually(server.is_empty, "both are gone")


async def test_a_receive_that_waits_is_ended_for_a_hub_that_gave_the_client_up(serve: Any) -> None:
    app = Writers()
    async with connect(serve(app).url) as client:
        await client.send("deflate")  # and then it waits in receive()
        assert await client.recv() == "False"
        await app.call(app.writers[0].end_receive)  # type: ignore[attr-defined]  # of the protocol class
        await client.wait_closed()
    assert client.close_code == 1006  # the app cut it off
