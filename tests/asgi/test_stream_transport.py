"""A response that does not end, as a transport."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from polling import eventually, turns

from hubbub import Disconnected, Limits
from hubbub.asgi.events import Event
from hubbub.asgi.pump import Pump
from hubbub.asgi.stream_transport import (
    BYTE_STREAM,
    EVENT_STREAM,
    LINE_STREAM,
    StreamCodec,
    StreamTransport,
)
from hubbub.core.messages import Payload


def farewell(code: int, reason: str) -> Payload:
    return f"bye {code} {reason}"


class Server:
    """A server's side of one response, and whoever listens to its transport."""

    def __init__(self, codec: StreamCodec = LINE_STREAM, limits: Limits | None = None) -> None:
        self.sent: list[Event] = []
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()
        self.told: list[object] = []
        limits = limits or Limits()
        self.transport = StreamTransport(
            self.events.get, self.send, codec, farewell, self.cut, self, limits, Pump()
        )

    def cut(self) -> None:
        self.told.append("cut")

    async def send(self, event: Event) -> None:
        await self.open.wait()
        self.sent.append(event)

    def write(self, *payloads: Payload) -> None:
        codec = self.transport.codec
        self.transport.write(codec.join([codec.encode(payload) for payload in payloads]))

    @property
    def body(self) -> bytes:
        return b"".join(event["body"] for event in self.sent)

    # What the transport tells

    def received(self, payload: Payload) -> bool:
        return payload != "pong"

    def regrouped(self) -> None:
        self.told.append("regrouped")

    def slow(self) -> None:
        self.told.append("slow")
        self.transport.close(3008, "slow", discard=True)

    def dropped(self, count: int) -> None:
        self.told.append(count)

    def lost(self, cause: Disconnected) -> None:
        self.told.append(int(cause.code))


@asynccontextmanager
async def serving(codec: StreamCodec = LINE_STREAM, limits: Limits | None = None) -> AsyncIterator[Server]:
    server = Server(codec, limits)
    yield server
    server.transport.abort()
    await turns()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not others, "a task was left behind"


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (EVENT_STREAM, b"data: {}\n\ndata: a\n\ndata: b\n\ndata: bye 1000 \n\n"),
        (LINE_STREAM, b"{}\na\nb\nbye 1000 \n"),
        (BYTE_STREAM, b"{}a\nbbye 1000 "),
    ],
)
async def test_messages_stand_in_the_body_as_the_codec_says(codec: StreamCodec, body: bytes) -> None:
    async with serving(codec) as server:
        server.write("{}", b"a\nb")
        await turns()
        server.transport.close(1000)
        await server.transport.finish()
        assert server.body == body
        assert [event["more_body"] for event in server.sent] == [True, True, False]
        assert server.told == [1000]


async def test_nothing_follows_the_last_message() -> None:
    async with serving() as server:
        server.write("before")
        server.transport.close(3001, "shutdown")
        server.transport.close(3000, "again")
        server.write("after")
        with pytest.raises(Disconnected) as error:
            await server.transport.send(LINE_STREAM.encode("after"))
        assert error.value.code == 3001
        await server.transport.finish()
        assert server.body == b"before\nbye 3001 shutdown\n"


async def test_a_slow_client_is_told_in_place_of_what_waits() -> None:
    async with serving(limits=Limits(outbox_bytes=100)) as server:
        server.open.clear()
        server.write("first")
        await turns()
        assert server.transport.busy_since is not None
        for _ in range(30):
            server.write("x" * 10)
        assert server.told == ["slow", 3008]
        server.open.set()
        await server.transport.finish()
        assert server.body == b"first\nbye 3008 slow\n"


async def test_messages_of_other_requests_are_received_in_order_and_bounded() -> None:
    async with serving(limits=Limits(inbox_messages=3)) as server:
        transport = server.transport
        receiving = asyncio.create_task(transport.receive())
        await turns()
        assert transport.deliver("a")
        assert await receiving == "a"
        assert all(transport.deliver(one) for one in ("b", "pong", "c", "d"))
        assert transport.backlogged
        assert not transport.deliver("e")
        assert [await transport.receive() for _ in range(3)] == ["b", "c", "d"]
        assert not transport.backlogged


async def test_the_clients_end_is_seen_while_nobody_receives_and_what_it_said_is_still_there() -> None:
    async with serving() as server:
        assert server.transport.deliver("last words")
        await server.events.put({"type": "http.request", "body": b"", "more_body": False})
        await server.events.put({"type": "http.disconnect"})
        await eventually(lambda: server.told == [1005])
        assert not server.transport.deliver("late")
        assert await server.transport.receive() == "last words"
        with pytest.raises(Disconnected):
            await server.transport.receive()


async def test_a_wait_for_a_message_ends_with_the_connection() -> None:
    async with serving() as server:
        receiving = asyncio.create_task(server.transport.receive())
        await turns()
        server.transport.close(3000)
        with pytest.raises(Disconnected) as error:
            await receiving
        assert error.value.code == 3000


async def test_a_server_that_fails_to_receive_ends_the_connection() -> None:
    server = Server()

    async def broken() -> Event:
        raise OSError("broken")

    transport = StreamTransport(
        broken, server.send, LINE_STREAM, lambda *_: "", None, server, Limits(), Pump()
    )
    await eventually(lambda: server.told == [1006])
    assert transport.closed is not None
    server.transport.abort()


async def test_only_who_does_not_take_what_was_sent_is_cut_off() -> None:
    async with serving() as server:
        server.write("a")
        await turns()
        server.transport.close(1000)
        await server.transport.finish()
        assert "cut" not in server.told
    async with serving(limits=Limits(close_timeout=0.01)) as server:
        server.open.clear()
        server.write("a")
        await turns()
        server.transport.close(1000)
        await server.transport.finish()
        assert server.told.count("cut") == 1
        server.open.set()
