"""Rooms that write to descriptors, over real sockets: members that fall behind, catch up, and vanish."""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from polling import eventually
from starlette.websockets import WebSocket
from uvicorn.config import Config
from uvicorn.server import Server
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from hubbub import Hub, Limits
from hubbub.asgi.events import Receive, Scope, Send
from hubbub.asgi.frames import COMPRESSED_CODEC, DESCRIPTOR_CODEC, FRAME_CODEC

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}
ROOMS = ("one", "two")


@asynccontextmanager
async def serving(hub: Hub, protocol: str = "WebSocketProtocol") -> AsyncIterator[int]:
    """A server in this loop, on a free port, where each client joins two rooms and echoes to the first."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        async with hub.connection(WebSocket(scope, receive, send)) as me, me.join("one"), me.join("two"):
            await me.send("welcome")
            while scope["path"] == "/push":
                await me.send("x" * 60_000)
            async for text in me.iter_text():
                await hub.broadcast_to_room("one", text)

    # Without a log configuration of its own: that would outlast the test.
    ws = f"hubbub.uvicorn:{protocol}"
    config = Config(app, port=0, ws=ws, lifespan="off", log_config=None, http="h11")
    server = Server(config)
    async with hub:
        serving = asyncio.create_task(server._serve())
        await eventually(lambda: server.started)
        try:
            yield server.servers[0].sockets[0].getsockname()[1]
        finally:
            server.should_exit = True
            await serving


def run_on(loop: str, test: Callable[[], object]) -> None:
    """Run a coroutine function on that kind of loop."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(test())  # type: ignore[arg-type]


async def member(port: int) -> ClientConnection:
    client = await connect(f"ws://127.0.0.1:{port}/", proxy=None, max_queue=None)
    assert await client.recv() == "welcome"
    return client


async def deaf_member(port: int, path: str = "/") -> socket.socket:
    """A member that does not read, with a small receive buffer."""
    there = socket.socket()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    there.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(there, ("127.0.0.1", port))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(there, request.encode())
    head = b""
    while b"welcome" not in head:
        head += await loop.sock_recv(there, 4_096)
    return there


async def until_closed(client: ClientConnection) -> AsyncIterator[str | bytes]:
    """What still comes before the close frame."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await client.recv()


def codecs(hub: Hub) -> list[object]:
    """How the members of each room are written to, one entry for each."""
    return [connection.codec for room in ROOMS for connection in hub.members(room)]


async def messages_from(there: socket.socket, count: int) -> list[bytes]:
    """The payloads of so many server frames."""
    loop, data, payloads = asyncio.get_running_loop(), b"", []
    while len(payloads) < count:
        while len(data) >= 4 and len(data) >= 4 + struct.unpack_from("!H", data, 2)[0]:
            size = struct.unpack_from("!H", data, 2)[0]
            payloads.append(data[4 : 4 + size])
            data = data[4 + size :]
        if len(payloads) < count:
            data += await loop.sock_recv(there, 65_536)
    return payloads


@pytest.mark.parametrize("loop", LOOPS)
def test_a_member_that_falls_behind_is_regrouped_and_comes_back_with_nothing_lost(loop: str) -> None:
    async def test() -> None:
        hub = Hub(limits=Limits(outbox_bytes=1 << 26))
        async with serving(hub) as port:
            quick, deaf = await member(port), await deaf_member(port)
            assert set(codecs(hub)) == {DESCRIPTOR_CODEC}
            count = 0
            while FRAME_CODEC not in codecs(hub):
                for _ in range(50):
                    await hub.broadcast_to_room("one", f"{count:08}" + "x" * 1_000)
                    count += 1
                await asyncio.sleep(0)
            # It is behind in every room, and in each of them exactly one member is.
            assert codecs(hub).count(FRAME_CODEC) == len(ROOMS)
            for _ in range(50):
                await hub.broadcast_to_room("one", f"{count:08}" + "x" * 1_000)
                count += 1
            expected = [f"{number:08}" for number in range(count)]
            assert [str(await quick.recv())[:8] for _ in range(count)] == expected
            late = [payload[:8].decode() for payload in await messages_from(deaf, count)]
            assert late == expected
            await eventually(lambda: set(codecs(hub)) == {DESCRIPTOR_CODEC})
            await hub.broadcast_to_room("two", "y" * 300)
            assert await messages_from(deaf, 1) == [b"y" * 300]
            deaf.close()
            await quick.close()

    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_broadcast_after_a_close_reaches_nobody_elses_socket(loop: str) -> None:
    """A descriptor's number is given to the next connection: no room may write to it by then."""

    async def test() -> None:
        hub = Hub()
        async with serving(hub) as port:
            stays = await member(port)
            for round_ in range(30):
                goes = await member(port)
                if round_ % 3 == 0:
                    goes.transport.abort()
                elif round_ % 3 == 1:
                    await goes.close()
                else:
                    hub.members("one")[-1].end(4000)
                # Published in the same turn, and in those in which the socket is taken down.
                for _ in range(20):
                    await hub.broadcast_to_room("one", "for members")
                    await asyncio.sleep(0)
                # Whoever gets the number now is in no room yet, and must hear nothing but its own welcome.
                fresh = await connect(f"ws://127.0.0.1:{port}/", proxy=None)
                assert await fresh.recv() == "welcome"
                await fresh.close()
                await eventually(lambda: hub.connection_count == 1)
            heard = 0
            await hub.broadcast_to_room("one", "end")
            while await stays.recv() != "end":
                heard += 1
            assert heard == 600
            await stays.close()

    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_follows_a_close_frame(loop: str) -> None:
    async def test() -> None:
        hub = Hub()
        async with serving(hub) as port:
            clients = [await member(port) for _ in range(20)]
            for client, connection in zip(clients, hub.members("one"), strict=True):
                await hub.broadcast_to_room("two", "before")
                connection.end(4001, "enough")
                await hub.broadcast_to_room("two", "after")
                heard = [message async for message in until_closed(client)]
                # websockets fails with 1002 when a frame comes after the close frame.
                assert client.close_code == 4001
                assert heard[-1] == "before"

    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_event_loops_close_a_descriptor_only_after_connection_lost(loop: str) -> None:
    """The rule that writing to descriptors rests on."""

    class Watcher(asyncio.Protocol):
        descriptor = -1
        was_open: bool | None = None

        def connection_lost(self, error: Exception | None) -> None:
            try:
                os.fstat(self.descriptor)
            except OSError:
                self.was_open = False
            else:
                self.was_open = True

    async def test() -> None:
        for end in ("abort", "close", "peer closes", "peer resets"):
            here, there = await connected()
            transport, watcher = await asyncio.get_running_loop().create_connection(Watcher, sock=here)
            watcher.descriptor = transport.get_extra_info("socket").fileno()
            if end in ("abort", "close"):
                getattr(transport, end)()
            elif end == "peer resets":
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if end.startswith("peer"):
                there.close()
            await eventually(lambda watcher=watcher: watcher.was_open is not None)
            assert watcher.was_open, end
            there.close()

    async def connected() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            there = socket.create_connection(listener.getsockname())
            here, _ = listener.accept()
        here.setblocking(False)
        return here, there

    run_on(loop, test)


def test_a_broadcast_is_compressed_once_for_all_who_agreed_and_not_for_the_others() -> None:
    async def test() -> None:
        hub = Hub()
        async with serving(hub, "DeflateWebSocketProtocol") as port:
            squeezed = [await member(port) for _ in range(3)]
            plain = await connect(f"ws://127.0.0.1:{port}/", proxy=None, compression=None)
            assert await plain.recv() == "welcome"
            assert set(codecs(hub)) == {COMPRESSED_CODEC, DESCRIPTOR_CODEC}
            for text in ("x" * 5_000, "short", "é" * 3_000):
                await hub.broadcast_to_room("one", text)
                assert [await client.recv() for client in (*squeezed, plain)] == [text] * 4
            assert len(COMPRESSED_CODEC.encode("x" * 5_000).frame) < 100
            for client in (*squeezed, plain):
                await client.close()

    run_on("uvloop", test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_send_that_waits_for_a_full_socket_ends_when_the_link_is_lost(loop: str) -> None:
    """At once, and not when the hub looks after the connection the next time, 5 s later."""

    async def test() -> None:
        hub = Hub(limits=Limits(send_timeout=60.0))
        async with serving(hub) as port:
            deaf = await deaf_member(port, "/push")
            me = hub.members("one")[0]
            await eventually(lambda: me.transport.busy_since is not None)
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            deaf.close()
            async with asyncio.timeout(4):
                await eventually(lambda: hub.connection_count == 0)

    run_on(loop, test)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_handler_that_only_sends_ends_when_the_client_says_goodbye(loop: str) -> None:
    async def test() -> None:
        hub = Hub()
        async with serving(hub) as port:
            client = await connect(f"ws://127.0.0.1:{port}/push", proxy=None, close_timeout=1)
            for _ in range(20):
                await client.recv()
            await client.close()
            async with asyncio.timeout(4):
                await eventually(lambda: hub.connection_count == 0)

    run_on(loop, test)
