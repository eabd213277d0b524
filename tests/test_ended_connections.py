"""Whoever has ended is freed at once, and leaves nothing to the garbage collector, whichever way it ended.

What the collector has to find stays until it comes: a server that thousands come to and leave would grow by
all of them, and stand still while it looks. The loop is uvloop: asyncio's own transports refer to themselves.
"""

import asyncio
import gc
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
import uvloop
from blunt_client import SECONDS, BluntClient
from leaving_app import application
from polling import eventually, turns
from uvicorn.config import Config
from uvicorn.server import Server, ServerState

from hubbub import Connection, Hub
from hubbub.gateway.client import Client
from hubbub.uvicorn import HttpProtocol, WebSocketProtocol
from hubbub.uvicorn.http_heads import LimitedHttpProtocol

CLIENTS = 4
"""In each way, after one that makes what all share."""

OURS = (Connection, Client, HttpProtocol, LimitedHttpProtocol, WebSocketProtocol)
"""What there is one of for a client."""

GRACE = 1.0
"""Seconds until what is held must be free. The app gives up a slow client after 0.2."""


class Guest(BluntClient):
    """A client that can see how the server, which is in this process, fares with it.

    Args:
        port: the server's.
        state: what uvicorn has.
        hub: the app's.
    """

    def __init__(self, port: int, state: ServerState, hub: Hub) -> None:
        super().__init__(port)
        self.state = state
        self.hub = hub

    def wait_until(self, look: Callable[[], bool]) -> None:
        """Look again and again, until what is seen is true."""
        deadline = time.monotonic() + SECONDS
        while not look():
            assert time.monotonic() < deadline, "the server does not get so far"
            time.sleep(0.001)


Visit = Callable[[Guest], None]
"""What a client does."""


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[tuple[int, ServerState]]:
    """uvicorn with our classes, in this process; gives its port, and what it has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = Config(
            app, http=HttpProtocol, ws="hubbub.uvicorn:WebSocketProtocol", log_config=None, access_log=False
        )
        server = Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        await eventually(lambda: server.started)
        try:
            yield listener.getsockname()[1], server.server_state
        finally:
            server.should_exit = True
            await serving


@contextmanager
def uncollected() -> Iterator[None]:
    """The collector does not come, and what is there already is not looked at."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def collected() -> Counter[str]:
    """What the collector has to find, by the names of the classes."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    found = Counter(type(one).__qualname__ for one in gc.garbage)
    gc.garbage.clear()
    gc.collect()  # what was only shown is freed now
    return found


def there() -> Counter[str]:
    """What there is of clients, by the names of their classes."""
    return Counter(type(one).__qualname__ for one in gc.get_objects() if isinstance(one, OURS))


def leaves(target: str) -> Visit:
    """It says something, then sends a close frame."""

    def visit(client: BluntClient) -> None:
        client.open(target)
        client.tell("hello")
        client.close()

    return visit


def vanishes(target: str) -> Visit:
    """It ends the connection without a close frame."""
    return lambda client: client.open(target)


def resets(target: str) -> Visit:
    """It vanishes so that the server cannot even write."""

    def visit(client: BluntClient) -> None:
        client.open(target)
        client.reset()

    return visit


def is_closed(target: str) -> Visit:
    """The server closes it."""

    def visit(client: BluntClient) -> None:
        client.open(target)
        client.answer_close()

    return visit


def is_slow_in_a_room(client: Guest) -> None:
    """It reads nothing until the hub gives it up, and vanishes."""
    before = client.hub.stats.slow
    client.open("/flood")
    client.wait_until(lambda: client.hub.stats.slow > before)
    client.reset()


def is_slow_to_be_told(client: Guest) -> None:
    """It reads nothing until the server has more for it than the kernel takes, and vanishes."""
    client.open("/talk")
    client.wait_until(lambda: any(getattr(one, "paused", False) for one in list(client.state.connections)))
    client.reset()


def breaks_the_protocol(client: BluntClient) -> None:
    """It sends a frame that is none."""
    client.open("/stay")
    client.say(b"\xff\xff")
    client.answer_close()


def leaves_before_the_answer(client: BluntClient) -> None:
    """It asks, and goes before the handler has accepted."""
    client.ask("/hesitate")


def is_refused(target: str, *headers: bytes) -> Visit:
    """Its handshake is answered with an error."""

    def visit(client: BluntClient) -> None:
        client.ask(target, *headers)
        client.wait_for(rb"HTTP/1.1 4\d\d ")
        client.wait_for_end()

    return visit


def requests(client: BluntClient) -> None:
    """It is no WebSocket client."""
    client.say(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    client.wait_for(rb"HTTP/1.1 200 ")


def connects(client: BluntClient) -> None:
    """A client of the Centrifuge protocol comes into a room."""
    client.open("/connection/websocket")
    client.tell('{"id":1,"connect":{}}', '{"id":2,"subscribe":{"channel":"here:1"}}')
    client.wait_for(b'"id":2')


def says_more_and_leaves(client: BluntClient) -> None:
    """It does what is allowed and what is not, and goes."""
    connects(client)
    client.tell(
        '{"id":3,"publish":{"channel":"here:1","data":{}}}',
        '{"id":4,"presence":{"channel":"here:1"}}',
        '{"id":5,"rpc":{"method":"refuse"}}',
        '{"id":6,"unsubscribe":{"channel":"here:1"}}',
    )
    client.wait_for(b'"id":6')
    client.close()


def leaves_while_it_is_answered(client: BluntClient) -> None:
    """It waits for no answer."""
    connects(client)
    client.tell('{"id":3,"rpc":{"method":"wait"}}')


def says_nonsense(client: BluntClient) -> None:
    """The server closes a client that does not speak the protocol."""
    connects(client)
    client.tell("{{")
    client.answer_close()


def streams(path: str) -> Visit:
    """It hears by a response without an end, and speaks by requests, until it goes."""

    def visit(client: BluntClient) -> None:
        client.post(path, b'{"id":1,"connect":{}}')
        session, node = client.wait_for(rb'"session":"([^"]+)","node":"([^"]+)"')
        command = '{"id":2,"subscribe":{"channel":"room"}}'
        with BluntClient(client.port) as second:
            second.post(
                "/emulation",
                json.dumps({"session": session.decode(), "node": node.decode(), "data": command}).encode(),
            )
            second.wait_for(rb"HTTP/1.1 204 ")
        client.wait_for(b'"id":2')

    return visit


WAYS: dict[str, Visit] = {
    "leaves": leaves("/stay"),
    "vanishes": vanishes("/stay"),
    "is reset": resets("/stay"),
    "breaks the protocol": breaks_the_protocol,
    "leaves a room with presence": leaves("/stay?room=here:1"),
    "leaves the tutorial's handler": leaves("/tutorial"),
    "crashes the tutorial's handler": is_closed("/tutorial/crash"),
    "crashes its handler": is_closed("/raise"),
    "is refused by its handler": is_closed("/refuse"),
    "is kicked": is_closed("/kick"),
    "is slow in a room": is_slow_in_a_room,
    "is slow to be told": is_slow_to_be_told,
    "is read ahead": leaves("/busy"),
    "is asked for a pong": vanishes("/ask"),
    "leaves before the answer": leaves_before_the_answer,
    "comes from another page": is_refused("/stay", b"Origin: http://elsewhere.example"),
    "comes to nowhere": is_refused("/nowhere"),
    "requests a page": requests,
    "speaks the protocol": says_more_and_leaves,
    "speaks the protocol and vanishes": connects,
    "does not wait for an answer": leaves_while_it_is_answered,
    "says nonsense": says_nonsense,
    "hears events": streams("/connection/sse"),
    "hears a stream": streams("/connection/http_stream"),
}


async def visited() -> dict[str, Counter[str]]:
    """Have clients come and go in each way; return what is left of them in the end."""
    left = {}
    app = application()
    async with served(app) as (port, state):

        def come(visit: Visit) -> None:
            with Guest(port, state, app.state.hub) as client:
                visit(client)

        for visit in WAYS.values():
            await asyncio.to_thread(come, visit)
        with uncollected():
            for way, visit in WAYS.items():
                for _ in range(CLIENTS):
                    await asyncio.to_thread(come, visit)
                await eventually(lambda: not state.connections and not state.tasks)
                left[way] = await remains()
    return left


async def remains() -> Counter[str]:
    """What of the clients is still there, and what only the collector finds."""
    with suppress(AssertionError):
        await eventually(lambda: not there(), GRACE)
    await turns()  # where the machine stood still, the time is over before its timers have run
    return there() | collected()


@pytest.fixture(scope="module")
def left() -> Iterator[dict[str, Counter[str]]]:
    """What is left of the clients of each way. Nothing is logged: a log keeps errors, and what they hold."""
    logging.disable()
    yield uvloop.run(visited())
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_of_a_client_that(way: str, left: dict[str, Counter[str]]) -> None:
    assert left[way] == {}
