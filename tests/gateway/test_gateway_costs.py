"""What a client of the protocol costs until it is in a room: counted, as the hot paths are."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from costs import REQUEST, Site, Tally, collected, masked

from hubbub import Allow, History, Hub

SAID = (
    REQUEST.replace(b"/chat?x=1", b"/connection/websocket"),
    masked('{"id":1,"connect":{}}'),
    masked('{"id":2,"subscribe":{"channel":"room"}}'),
)
"""All that a client of the protocol says until it is in a room."""


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Another test may have set up uvicorn, which then writes a line for each handshake."""
    caplog.set_level(logging.WARNING, "uvicorn.error")


@asynccontextmanager
async def gateway() -> AsyncIterator[tuple[Hub, Callable[[], Awaitable[tuple[Any, socket.socket]]]]]:
    """A hub with a room for clients of the protocol, and a way to bring one in, up to its first word."""
    hub = Hub("memory://", anonymous=True)
    hub.room("{name}", history=History(), allow_subscribe=Allow.ANYONE)
    site = Site()
    site.config.load()
    site.config.loaded_app = hub.gateway.before(site.app)
    async with hub, AsyncExitStack() as opened:
        yield hub, lambda: opened.enter_async_context(site.connection())


async def say_all(door: Any) -> None:
    """Have a client connect and subscribe."""
    for data in SAID:
        door.transport.get_protocol().data_received(data)
        await asyncio.sleep(0)


async def test_a_client_of_the_protocol_connects_and_subscribes_in_few_instructions() -> None:
    async with gateway() as (hub, open_one):
        for _ in range(2):  # the first one makes what all share
            door, there = await open_one()
            with Tally() as cost:
                await say_all(door)
        assert there.recv(1_000).endswith(b'{"id":2,"subscribe":{}}')
        assert len(hub.members("room")) == 2
    print(f"for each client: {cost.instructions} instructions, {cost.calls} calls")
    assert cost.instructions <= 10_500
    assert cost.calls <= 275


async def test_a_client_of_the_protocol_leaves_few_objects_to_the_garbage_collector() -> None:
    async with gateway() as (hub, open_one):
        counts = []
        for clients in (2, 10):  # the first ones make what all share
            for _ in range(clients):
                await say_all((await open_one())[0])
            counts.append(collected())
        assert len(hub.members("room")) == 12
    tracked = (counts[1] - counts[0]) / 10
    print(f"for each client: {tracked} objects")
    # From Python 3.14 on the collector looks at every dict, not only at those that hold what it looks at.
    assert tracked <= (78 if sys.version_info >= (3, 14) else 69)
