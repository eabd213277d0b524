"""The hub on real servers, stock and our own, with real clients: one suite for all of them.

Where servers differ, the table beside the test says what each of them does.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any

import pytest
from polling import DEADLINE, eventually
from raw_client import Opcode, RawClient
from servers import COMMANDS, Server, serving
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus

BEAT = {"interval": 0.4, "timeout": 0.4}
LIMITS = {"outbox_bytes": 65_536, "rooms_per_connection": 3, "send_timeout": 2.0, "close_timeout": 5.0}
ENVIRONMENT = {"HUB_APP_LIMITS": json.dumps(LIMITS), "HUB_APP_HEARTBEAT": json.dumps(BEAT)}
STYLES = ("room", "tutorial")
# A client that does not care for what it gets still reads it: with a queue that is full it could not close.
connect = partial(connect_websocket, max_queue=None)


@pytest.fixture(scope="module", params=COMMANDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving("hub_app:app", folder, request.param, environment=ENVIRONMENT) as server:
        yield server
        assert not unplanned_tracebacks(server.log)


def unplanned_tracebacks(log: str) -> list[str]:
    """The tracebacks in a log that no test has asked for."""
    # Clients that send invalid UTF-8 make stock servers log one of their own.
    planned = ("PlannedCrash", "UnicodeDecodeError", "LocalProtocolError")
    return [part for part in log.split("Traceback")[1:] if not any(name in part for name in planned)]


@asynccontextmanager
async def members(server: Server, path: str, count: int) -> AsyncIterator[list[ClientConnection]]:
    """Clients in one room; the room is empty afterwards."""
    room = path.partition("?")[0].rpartition("/")[2]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(server.ws + path)) for _ in range(count)]
        await eventually(lambda: server.get("/state")["rooms"].get(room) == count)
        yield clients
    await eventually(lambda: room not in server.get("/state")["rooms"])


async def receive(client: ClientConnection, count: int) -> list[str | bytes]:
    async with asyncio.timeout(DEADLINE):
        return [await client.recv() for _ in range(count)]


async def ending(client: ClientConnection) -> tuple[int | None, str | None]:
    """The close code and reason that the client sees, once it does."""
    async with asyncio.timeout(DEADLINE):
        try:
            while True:
                await client.recv()
        except ConnectionClosed:
            return client.close_code, client.close_reason


# Messages


@pytest.mark.parametrize("style", STYLES)
async def test_all_members_see_one_order(server: Server, style: str) -> None:
    async with members(server, f"/{style}/order", 3) as clients:
        for number in range(100):
            for client in clients[:2]:
                await client.send(f"{clients.index(client)} {number}")
        seen = [await receive(client, 200) for client in clients]
        assert seen[0] == seen[1] == seen[2]
        for publisher in "01":
            own = [str(one).split()[1] for one in seen[0] if str(one)[0] == publisher]
            assert own == [str(number) for number in range(100)]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("message", ["text é😀", b"\x00\xff", '{"json": [1]}', "", "x" * 65_536])
async def test_a_message_arrives_as_it_was_sent(server: Server, style: str, message: str | bytes) -> None:
    async with members(server, f"/{style}/kinds", 2) as clients:
        await clients[0].send(message)
        assert [await receive(client, 1) for client in clients] == [[message], [message]]


@pytest.mark.parametrize(
    ("way", "sent", "kind", "value"),
    [
        ("receive", "a", "str", "a"),
        ("receive", b"a", "bytes", "b'a'"),
        ("receive_text", "é", "str", "é"),
        ("receive_bytes", b"\x01", "bytes", "b'\\x01'"),
        ("receive_json", '{"a": 1}', "dict", "{'a': 1}"),
    ],
)
async def test_a_handler_receives_in_four_ways(
    server: Server, way: str, sent: str | bytes, kind: str, value: str
) -> None:
    async with connect(f"{server.ws}/ways/{way}") as client:
        await client.send(sent)
        (answer,) = await receive(client, 1)
        assert json.loads(answer) == {"type": kind, "value": value}


@pytest.mark.parametrize(
    ("way", "sent", "kind"),
    [("receive_text", "a", "str"), ("receive_bytes", b"a", "bytes"), ("receive_json", "[1]", "list")],
)
async def test_the_websockets_own_methods_go_on_working(
    server: Server, way: str, sent: str | bytes, kind: str
) -> None:
    async with connect(f"{server.ws}/own/{way}") as client:
        await client.send(sent)
        (answer,) = await receive(client, 1)
        assert json.loads(answer)["type"] == kind


async def test_the_handlers_own_sends_keep_their_place_among_broadcasts(server: Server) -> None:
    async with connect(f"{server.ws}/mixed") as client:
        assert await receive(client, 300) == [str(number) for number in range(300)]


async def test_a_joiner_gets_nothing_older_and_a_leaver_everything_before(server: Server) -> None:
    async with members(server, "/room/turn", 1) as (member,), connect(f"{server.ws}/turn/turn") as passer:
        await passer.send("go")
        told = ["before the join", "while a member", "after the leave"]
        assert await receive(member, 3) == told
        assert await receive(passer, 1) == told[1:2]
        assert (await ending(passer))[0] == 1000


# Closing


@pytest.mark.parametrize(
    ("path", "sent", "code", "reason"),
    [
        ("/end/1000", None, 1000, ""),
        ("/end/1001", None, 1001, "because"),
        ("/end/4321", None, 4321, "because"),
        ("/cancelled", None, 1001, ""),
        ("/passing", "go", 1001, "server stopping"),
        ("/ways/receive_text", b"a", 1003, "Expected a text message"),
        ("/ways/receive_bytes", "a", 1003, "Expected a binary message"),
        ("/ways/receive_json", b"{}", 1003, "Expected a text message with JSON"),
        ("/ways/receive_json", "{", 1007, "Invalid JSON"),
        ("/many/4", None, 1008, "No more than 3 rooms for one connection"),
        ("/room/a*", None, 1008, None),
        ("/tutorial/a*", None, 1008, None),
        ("/room/" + "x" * 256, None, 1008, None),
        ("/room/big", "x" * 65_537, 1009, "message over 65536 bytes"),
        ("/tutorial/big", b"x" * 65_537, 1009, "message over 65536 bytes"),
        ("/crash/context", "go", 1011, ""),
    ],
)
async def test_a_client_is_closed_with_the_code_it_deserves(
    server: Server, path: str, sent: str | bytes | None, code: int, reason: str | None
) -> None:
    async with connect(server.ws + path) as client:
        if sent is not None:
            await client.send(sent)
        ended, because = await ending(client)
        assert ended == code
        assert reason is None or because == reason


@pytest.mark.parametrize(("way", "sent"), [("receive_text", b"a"), ("receive_bytes", "a")])
async def test_the_wrong_kind_of_message_closes_with_1003_in_the_tutorials_style(
    server: Server, way: str, sent: str | bytes
) -> None:
    async with connect(f"{server.ws}/own/{way}") as client:
        await client.send(sent)
        # The handler returns at once, and granian may then be faster with a close frame of its own, without a
        # code, than with the one that it was given.
        assert (await ending(client))[0] in ({1003, 1005} if server.kind == "granian" else {1003})


async def test_a_refused_client_is_told_before_it_is_closed(server: Server) -> None:
    async with connect(f"{server.ws}/many/4") as client:
        (told,) = await receive(client, 1)
        assert json.loads(told) == {"type": "error", "msg": "No more than 3 rooms for one connection"}


INVALID_UTF8 = {
    "uvicorn": 1007,
    "hubbub": 1007,
    "hypercorn": 1006,  # its own handler fails, and the socket is dropped
    "granian": 1005,  # a close frame without a code
}


async def test_text_that_is_not_utf8_ends_the_connection(server: Server) -> None:
    client = await RawClient.open(f"{server.ws}/room/utf8")
    await client.send(b"\xff\xfe", Opcode.TEXT)
    assert (await client.read_to_the_end())[1] == INVALID_UTF8[server.kind]
    client.close()
    await eventually(lambda: "utf8" not in server.get("/state")["rooms"])


@pytest.mark.parametrize("style", STYLES)
async def test_the_handler_learns_how_the_client_went(server: Server, style: str) -> None:
    name = f"leaver-{style}"
    async with connect(f"{server.ws}/{style}/leave?name={name}") as client:
        await client.close(1001, "away")
    told: list[object] = await eventually(lambda: server.get("/state")["endings"].get(name))
    # hypercorn tells the app 1006 however the client went; granian keeps the reason for itself.
    assert told == {"hypercorn": [1006, ""], "granian": [1001, ""]}.get(server.kind, [1001, "away"])


@pytest.mark.parametrize("style", STYLES)
async def test_a_client_that_vanishes_is_forgotten(server: Server, style: str) -> None:
    async with members(server, f"/{style}/vanish", 1) as (member,):
        client = await RawClient.open(f"{server.ws}/{style}/vanish")
        await eventually(lambda: server.get("/state")["rooms"]["vanish"] == 2)
        client.reset()
        await eventually(lambda: server.get("/state")["rooms"]["vanish"] == 1)
        await member.send("still here")
        assert await receive(member, 1) == ["still here"]


CRASH_IN_THE_TUTORIALS_STYLE = {
    "uvicorn": 1006,  # it drops the socket
    "hubbub": 1011,
    "hypercorn": 1011,
    "granian": 1005,  # a close frame without a code
}


async def test_a_handler_that_crashes_leaves_no_ghost(server: Server) -> None:
    for style, code in (("context", 1011), ("tutorial", CRASH_IN_THE_TUTORIALS_STYLE[server.kind])):
        async with connect(f"{server.ws}/crash/{style}") as client:
            await eventually(lambda: server.get("/state")["rooms"].get("crash") == 1)
            await client.send("go")
            assert (await ending(client))[0] == code
        await eventually(lambda: "crash" not in server.get("/state")["rooms"])


async def test_a_slow_reader_is_closed_1013_and_the_others_get_everything(server: Server) -> None:
    async with members(server, "/room/slow", 1) as (member,):
        slow_before = server.get("/state")["slow"]
        stalled = await RawClient.open(f"{server.ws}/room/slow", receive_buffer=4_096)
        await eventually(lambda: server.get("/state")["rooms"]["slow"] == 2)
        text = "x" * 20_000
        sent = 0
        while server.get("/state")["slow"] == slow_before:
            server.get(f"/publish/slow?text={text}&count=3", method="POST")
            sent += 3
            assert await receive(member, 3) == [text] * 3
            assert sent < 1_000, "the kernel cannot hold so much"
        await eventually(lambda: server.get("/state")["rooms"]["slow"] == 1)
        messages, code = await stalled.read_to_the_end()
        assert code == 1013
        assert {len(one) for one in messages} == {20_000}
        assert len(messages) < sent
        stalled.close()


# Origins


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"]
)
@pytest.mark.parametrize("style", STYLES)
async def test_a_page_of_another_origin_gets_a_403_before_the_upgrade(
    server: Server, style: str, origin: str
) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(f"{server.ws}/{style}/origin", origin=origin):  # type: ignore[arg-type]
            pass
    assert caught.value.response.status_code == 403


async def test_pages_of_the_same_and_of_allowed_origins_may_connect(server: Server) -> None:
    for origin in (f"http://127.0.0.1:{server.port}", "https://friend.example", None):
        async with connect(f"{server.ws}/room/origin", origin=origin) as client:  # type: ignore[arg-type]
            await client.send("hello")
            assert await receive(client, 1) == ["hello"]


# The heartbeat


@pytest.mark.parametrize("path", ["/heart/beat", "/room/beat?heartbeat=1", "/tutorial/beat?heartbeat=1"])
async def test_a_client_that_answers_the_heartbeat_stays_and_a_silent_one_is_forgotten(
    server: Server, path: str
) -> None:
    dead_before = server.get("/state")["dead"]
    async with connect(server.ws + path) as lively, connect(server.ws + path) as silent:
        began = monotonic()
        pings = 0
        while monotonic() - began < 2 * (BEAT["interval"] + BEAT["timeout"]):
            assert await receive(lively, 1) == ['{"type":"ping"}']
            await lively.send("pong")
            pings += 1
        assert pings >= 3
        assert await ending(silent) == (1011, "heartbeat timeout")
        state = server.get("/state")
        assert state["rooms"]["beat"] == 1
        assert state["dead"] == dead_before + 1
    await eventually(lambda: "beat" not in server.get("/state")["rooms"])


async def test_nobody_is_pinged_who_has_not_opted_in(server: Server) -> None:
    async with connect(f"{server.ws}/room/calm") as client:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 2 * (BEAT["interval"] + BEAT["timeout"]))
        await client.send("pong")
        assert await receive(client, 1) == ["pong"]


async def test_a_handler_that_only_sends_notices_that_its_client_has_gone(server: Server) -> None:
    async with connect(f"{server.ws}/quiet") as client:
        assert await receive(client, 3) == ["tick"] * 3
    await eventually(lambda: "quiet" not in server.get("/state")["rooms"])


# Life


async def test_nothing_is_left_behind(server: Server) -> None:
    await eventually(lambda: server.get("/state")["connections"] == 0)
    before = server.get("/state")
    for style in STYLES:
        async with AsyncExitStack() as stack:
            for _ in range(20):
                client = await stack.enter_async_context(connect(f"{server.ws}/{style}/many"))
                await client.send("hello")
    after = await eventually(lambda: no_more_tasks(server, before["tasks"]))
    assert (after["connections"], after["rooms"]) == (0, {})
    assert after["opened"] == before["opened"] + 40


def no_more_tasks(server: Server, tasks: int) -> dict[str, Any] | None:
    state: dict[str, Any] = server.get("/state")
    return state if state["tasks"] <= tasks else None


STOPPED = {
    "uvicorn": 1012,  # sent by the server before the app hears of it
    "hubbub": 1012,
    "hypercorn": 1001,  # it cancels the handlers, on Python 3.11
    "granian": 1006,  # it waits for the handlers, then its worker is killed
}
WAITS_FOR_CLIENTS = {"hypercorn"} if sys.version_info >= (3, 12) else set()
"""They tell the app nothing while a client stays (hypercorn's issue 308)."""

STOP_OPTIONS = {"granian": "--workers-kill-timeout 1", "hypercorn": "--graceful-timeout 1"}


@pytest.mark.parametrize("kind", COMMANDS)
async def test_a_server_that_stops_lets_go_of_its_clients(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("stopping")
    with serving("hub_app:app", folder, kind, STOP_OPTIONS.get(kind, "")) as server:
        async with connect(f"{server.ws}/room/stop") as client:
            await eventually(lambda: server.get("/state")["rooms"])
            server.process.terminate()
            if kind in WAITS_FOR_CLIENTS:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.recv(), 2)
            else:
                assert (await ending(client))[0] == STOPPED[kind]
        await asyncio.to_thread(server.stop)
