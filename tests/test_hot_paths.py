"""The hot paths stay small: counted in bytecode instructions and calls into C, which no noise can change.

The bounds leave a quarter for other versions of Python. Whoever goes over one has made every delivery dearer:
measure with `make bench` before raising it.
"""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from costs import REQUEST, Cost, Site, Tally, collected, masked
from polling import turns
from starlette.websockets import WebSocket

from hubbub import Hub
from hubbub.asgi.direct_writer import DirectWriter
from hubbub.asgi.frames import DESCRIPTOR_CODEC
from hubbub.asgi.interrupt import Waits
from hubbub.core.frame_parser import FrameParser
from hubbub.core.messages import Publication
from hubbub.core.options import RoomOptions
from hubbub.core.rooms import Rooms
from hubbub.core.stats import Stats
from hubbub.hub.fanout import Fanout
from hubbub.uvicorn.writer import FrameWriter, State

MEMBERS = 100


class Member:
    """A member of a room over a real socket, whose other end nobody reads."""

    def __init__(self, frames: FrameWriter) -> None:
        writer = DirectWriter(frames, None, 1 << 20, Waits(), None)  # type: ignore[arg-type]
        self.codec = writer.codec
        self.handle = writer.handle


@pytest.fixture(autouse=True)
def nobody_else_counts(caplog: pytest.LogCaptureFixture) -> None:
    """Counting needs the interpreter's one trace function for itself, and no line in a log."""
    assert sys.gettrace() is None
    caplog.set_level(logging.WARNING, "uvicorn.error")  # uvicorn may have been set up by another test


@asynccontextmanager
async def full_room() -> AsyncIterator[tuple[Fanout, list[socket.socket]]]:
    """A fan-out to one room of `MEMBERS`."""
    loop = asyncio.get_running_loop()
    rooms: Rooms[Any] = Rooms(lambda _: RoomOptions())
    transports, ends = [], []
    for _ in range(MEMBERS):
        here, there = socket.socketpair()
        transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=here)
        frames = FrameWriter(None)  # type: ignore[arg-type]
        frames._attach(transport)
        frames._state = State.OPEN
        rooms.join("room", Member(frames))
        transports.append(transport)
        ends.append(there)
    try:
        yield Fanout(rooms, Stats()), ends
    finally:
        for transport in transports:
            transport.abort()
        for end in ends:
            end.close()


def burst(fanout: Fanout, count: int) -> Callable[[], None]:
    """Publish so many messages in one turn, and write them."""
    publications = [Publication("room", "x" * 128, 0.0) for _ in range(count)]

    def publish() -> None:
        for publication in publications:
            fanout.publication(publication)
        fanout.flush()

    return publish


async def test_a_delivery_costs_few_instructions_and_one_system_call() -> None:
    async with full_room() as (fanout, ends):
        cost = Cost().of(burst(fanout, 1))
        assert all(len(end.recv(1 << 16)) == 132 for end in ends)
    print(f"per delivery: {cost.instructions / MEMBERS} instructions, {cost.calls / MEMBERS} calls")
    assert cost.instructions / MEMBERS <= 25
    assert cost.calls / MEMBERS <= 1.55


async def test_a_burst_is_one_write_for_each_member() -> None:
    async with full_room() as (fanout, ends):
        cost = Cost().of(burst(fanout, 64))
        assert all(len(end.recv(1 << 16)) == 64 * 132 for end in ends)
    deliveries = 64 * MEMBERS
    print(f"per delivery: {cost.instructions / deliveries} instructions, {cost.calls / deliveries} calls")
    assert cost.instructions / deliveries <= 1.4
    assert cost.calls / deliveries <= 0.11


class Listening:
    """A member whose socket takes everything."""

    codec = DESCRIPTOR_CODEC

    def __init__(self, handle: int) -> None:
        self.handle = handle


async def test_a_room_is_few_objects_to_the_garbage_collector_and_no_more_when_it_is_published_to() -> None:
    rooms: Rooms[Any] = Rooms(lambda _: RoomOptions())
    fanout = Fanout(rooms, Stats())
    names = [f"room-{number}" for number in range(100)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    members = [Listening(nowhere) for _ in range(10)]
    for one in members:
        rooms.join("first", one)
    before = collected()
    for name in names:
        for one in members:
            rooms.join(name, one)
    joined = collected()
    for name in names:
        fanout.publication(Publication(name, "x", 0.0))
    fanout.flush()
    published = collected()
    os.close(nowhere)
    print(f"for each room: {(joined - before) / 100} objects, {(published - joined) / 100} more in the end")
    # Not to the object: what runs the tests has some that come and go.
    assert (joined - before) / 100 <= 6.9
    assert (published - joined) / 100 <= 0.9


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what does not have to wait; return its result."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


async def test_a_handshake_costs_few_instructions() -> None:
    site = Site()
    async with site.connection() as (first, _):
        first.data_received(REQUEST)  # makes what the server's connections share
    async with site.connection() as (door, there):
        cost = Cost().of(lambda: door.data_received(REQUEST))
        await asyncio.sleep(0)
        cost.of(lambda: finish(site.app.receive()))
        cost.of(lambda: finish(site.app.send({"type": "websocket.accept"})))
        assert there.recv(1_000).startswith(b"HTTP/1.1 101 ")
    print(f"for each handshake: {cost.instructions} instructions, {cost.calls} calls")
    assert cost.instructions <= 2_300
    assert cost.calls <= 116


async def test_an_echo_costs_few_instructions_and_one_system_call() -> None:
    site = Site()
    async with site.connection() as (door, there):
        door.data_received(REQUEST)
        await asyncio.sleep(0)
        finish(site.app.receive())
        finish(site.app.send({"type": "websocket.accept"}))
        connection = site.app.send.__self__
        connection.data_received(masked("the first frame makes the parser"))
        finish(site.app.receive())
        cost = Cost().of(lambda: connection.data_received(masked("hello")))
        text = finish(site.app.receive())["text"]
        cost.of(lambda: finish(site.app.send({"type": "websocket.send", "text": text})))
        assert there.recv(1_000).endswith(b"\x81\x05hello")
    print(f"for each echo: {cost.instructions} instructions, {cost.calls} calls")
    assert cost.instructions <= 375
    assert cost.calls <= 13


async def test_a_message_of_a_member_goes_to_its_room_in_few_instructions() -> None:
    hub = Hub("memory://")
    site = Site()
    site.config.load()

    async def talk(scope: Any, receive: Any, send: Any) -> None:
        async with hub.connection(WebSocket(scope, receive, send)) as me, me.join("room"):
            async for text in me.iter_text():
                await hub.broadcast_to_room("room", text)

    site.config.loaded_app = talk
    async with hub, AsyncExitStack() as opened:
        ends = []
        for _ in range(10):
            door, there = await opened.enter_async_context(site.connection())
            door.data_received(REQUEST)
            ends.append(there)
            await turns(6)
        talker = door.transport.get_protocol()
        for text in ("the first one makes what stays", "hello"):
            with Tally() as cost:
                talker.data_received(masked(text))
                await turns(3)
        assert all(end.recv(1_000).endswith(b"\x81\x05hello") for end in ends)
    print(f"for each message to ten: {cost.instructions} instructions, {cost.calls} calls")
    assert cost.instructions <= 1_350
    assert cost.calls <= 53


def test_a_small_message_is_parsed_in_few_instructions() -> None:
    mask = os.urandom(4)
    payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(b"x" * 100))
    frame = bytes((0x81, 0x80 | 100)) + mask + payload
    parser = FrameParser(65_536)
    got: list[Any] = []
    cost = Cost().of(lambda: got.append(parser.take_message(frame)))
    assert got == ["x" * 100]
    print(f"per message: {cost.instructions} instructions, {cost.calls} calls")
    assert cost.instructions <= 130
    assert cost.calls <= 9


async def test_a_look_at_the_figures_costs_no_more_for_many_that_keep_up() -> None:
    hub = Hub("memory://", anonymous=True)
    site = Site()
    site.config.load()
    site.config.loaded_app = hub.gateway.before(site.app)
    costs = []
    async with hub, AsyncExitStack() as opened:
        for many in (2, 20):
            for _ in range(many):
                door, _ = await opened.enter_async_context(site.connection())
                for data in (
                    REQUEST.replace(b"/chat?x=1", b"/connection/websocket"),
                    masked('{"id":1,"connect":{}}'),
                ):
                    door.transport.get_protocol().data_received(data)
                    await asyncio.sleep(0)
            costs.append(Cost().of(lambda: hub.figures).instructions)
        assert hub.figures.connections == 22
    print(f"for each look: {costs} instructions")
    assert costs[0] == costs[1]
