"""The protocol without WebSockets: event streams, plain streams, and commands by requests."""

import asyncio
import json
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import cent
import httpx
import pytest
from api_servers import Cluster, StartNode, api
from gateway_sdk import Server, guest, room, token
from polling import eventually
from server_process import HUBBUB
from stream_wire import emulation_request, first_message, stream
from websockets.asyncio.client import connect

from hubbub.centrifuge.protobuf_wire import block, varint

KINDS = pytest.mark.parametrize("kind", ["sse", "sse_post", "http_stream"])
CONNECT = '{"id":1,"connect":{}}'
FRIEND = "https://friend.example"


def publish(server: Server, channel: str, data: Any) -> None:
    """Publish with the API."""
    api(server).publish(cent.PublishRequest(channel=channel, data=data))


@KINDS
async def test_a_client_connects_subscribes_and_gets_publications(api_server: Server, kind: str) -> None:
    chat = room("chat")
    async with stream(api_server, kind, token("ada")) as ada:
        headers = ada.response.headers
        assert headers["x-accel-buffering"] == "no"
        assert "no-cache" in headers["cache-control"]
        assert ada.kind == ("application/json" if kind == "http_stream" else "text/event-stream")
        result = await ada.ask("subscribe", channel=chat)
        assert result["recoverable"]
        assert await ada.ask("publish", channel=chat, data={"a": "é\n"}) == {}
        told = await ada.push("pub")
        assert (told["data"], told["offset"]) == ({"a": "é\n"}, 1)
        assert told["info"] == {"user": "ada", "client": ada.client}
        assert await ada.ask("ping") == {}
        both = {"id": 50, "presence_stats": {"channel": chat}}, {"id": 51, "unsubscribe": {"channel": chat}}
        assert await ada.say(*both) == 204
        assert (await ada.answer(50, "presence_stats"))["num_clients"] == 1
        assert await ada.answer(51, "unsubscribe") == {}


async def test_protobuf_goes_both_ways(api_server: Server) -> None:
    chat = room("open")
    first = block(4, b"")
    frame = varint(len(b"\x08\x01" + first)) + b"\x08\x01" + first
    binary = {"content-type": "application/octet-stream"}
    async with (
        api_server.http() as http,
        http.stream("POST", "/connection/http_stream", content=frame, headers=binary) as response,
    ):
        assert response.headers["content-type"] == "application/octet-stream"
        pieces = response.aiter_bytes()
        rest = b""

        async def next_message() -> bytes:
            nonlocal rest
            while True:
                message, rest = first_message(rest)
                if message is not None:
                    return message
                rest += await anext(pieces)

        connected = await next_message()
        result = _fields(_fields(connected)[5][0])
        session, node = result[9][0].decode(), result[10][0].decode()
        subscribe = b"\x08\x02" + block(5, block(1, chat.encode()))
        body = emulation_request(session, node, varint(len(subscribe)) + subscribe)
        assert (await http.post("/emulation", content=body, headers=binary)).status_code == 204
        assert _fields(await next_message())[1] == [2]
        publish(api_server, chat, "hello")
        push = _fields(_fields(await next_message())[4][0])
        assert push[2] == [chat.encode()]
        assert _fields(push[4][0])[4] == [b'"hello"']


def _fields(message: bytes) -> dict[int, list[Any]]:
    """The fields of a message by number: numbers and bytes."""
    found: dict[int, list[Any]] = {}
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = number()
        value: Any = number()
        if tag & 7 == 2:
            value, at = message[at : at + value], at + value
        found.setdefault(tag >> 3, []).append(value)
    return found


async def test_members_of_all_kinds_get_the_same_publications_once_and_in_order(api_server: Server) -> None:
    chat = room("chat")
    async with (
        stream(api_server, "sse", token("ada")) as events,
        stream(api_server, "http_stream", token("bob")) as lines,
        guest(api_server, "eve", protobuf=True) as protobuf,
        connect(api_server.ws(f"/plain/{chat}"), proxy=None) as plain,
    ):
        for one in (events, lines):
            await one.ask("subscribe", channel=chat)
        _, heard, _ = await protobuf.enter(chat)
        numbers = list(range(50))
        batch = [cent.PublishRequest(channel=chat, data=number) for number in numbers]
        api(api_server).batch(cent.BatchRequest(requests=batch))
        for one in (events, lines):
            assert [(await one.push("pub"))["data"] for _ in numbers] == numbers
        assert [int((await heard.next("publication")).pub.data) for _ in numbers] == numbers
        assert [int(await plain.recv()) for _ in numbers] == numbers


async def test_a_client_that_comes_back_gets_what_it_missed(api_server: Server) -> None:
    chat = room("chat")
    async with stream(api_server, "sse", token("ada")) as one:
        began = await one.ask("subscribe", channel=chat)
    for number in range(3):
        publish(api_server, chat, number)
    async with stream(api_server, "http_stream", token("ada")) as one:
        again = await one.ask("subscribe", channel=chat, recover=True, epoch=began["epoch"], offset=1)
        assert again["recovered"]
        assert [publication["data"] for publication in again["publications"]] == [1, 2]


@KINDS
async def test_commands_reach_the_client_through_any_node(api_cluster: Cluster, kind: str) -> None:
    chat = room("chat")
    near, far = api_cluster.near, api_cluster.far
    async with stream(near, kind, token("ada"), through=far) as ada:
        assert (await ada.ask("subscribe", channel=chat))["recoverable"]
        assert await ada.ask("publish", channel=chat, data=1) == {}
        assert (await ada.push("pub"))["data"] == 1
        found = api(far).connections(cent.ConnectionsRequest(user="ada", expression="")).connections
        assert [one.transport for one in found.values()] == [kind.removesuffix("_post")]
        api(far).disconnect(cent.DisconnectRequest(user="ada", session=ada.session))
        assert await ada.end() == 3503


async def test_an_unknown_node_is_not_found_and_an_unknown_session_is_no_error(api_cluster: Cluster) -> None:
    async with stream(api_cluster.near, "http_stream", token("ada")) as ada:
        session, node = ada.session, ada.node
        ada.node = "nobody"
        assert await ada.say({}) == 404
        ada.node, ada.session = node, "unknown"
        assert await ada.say({"id": 2, "rpc": {}}) == 204
        ada.session = session
        assert await ada.ask("ping") == {}


# Ends


@KINDS
@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("nonsense", 3501),
        ('{"id":1,"subscribe":{"channel":"open:a"}}', 3501),
        ('{"id":1,"connect":{"token":"bad"}}', 3500),
        ("[" * 1_000 + "]" * 1_000, 3501),
    ],
)
async def test_the_last_message_says_why_it_ended(
    api_server: Server, kind: str, first: str, code: int
) -> None:
    async with stream(api_server, kind, first=first) as one:
        assert await one.end() == code


async def test_a_client_that_has_gone_has_left_its_rooms(api_server: Server) -> None:
    chat = room("chat")
    backend = api(api_server)
    for kind in ("sse", "http_stream"):
        async with stream(api_server, kind, token("ada")) as one:
            await one.ask("subscribe", channel=chat)
            assert chat in backend.channels(cent.ChannelsRequest()).channels
        await eventually(lambda: chat not in backend.channels(cent.ChannelsRequest()).channels)
        assert backend.presence(cent.PresenceRequest(channel=chat)).presence == {}


async def test_a_slow_reader_is_given_up_and_nobody_waits_for_it(api_server: Server) -> None:
    with stalled_reader(api_server, chat := room("open")):
        await publish_until_given_up(api_server, chat)


async def test_the_connection_of_a_slow_reader_ends_with_it(start_node: StartNode) -> None:
    command = ("env", "-C", "tests/gateway", *HUBBUB, "run", "api_app:app", "--drain", "0")
    with (
        start_node("memory://", {"CLOSE": "0.2"}, command=command) as server,
        stalled_reader(server, chat := room("open")) as stalled,
    ):
        await publish_until_given_up(server, chat)
        reset = select.poll()
        reset.register(stalled, 0)  # errors alone, without reading
        await eventually(lambda: reset.poll(0))
        assert "without completing response" not in server.log()


@contextmanager
def stalled_reader(server: Server, chat: str) -> Iterator[socket.socket]:
    """A client in a room that reads nothing."""
    subscribe = json.dumps({"id": 2, "subscribe": {"channel": chat}})
    body = f"{CONNECT}\n{subscribe}".encode()
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stalled.connect(("127.0.0.1", server.port))
        head = f"POST /connection/http_stream HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        stalled.sendall(head.encode() + body)
        yield stalled


async def publish_until_given_up(server: Server, chat: str) -> None:
    """Publish in a room until only one who reads is in it, who gets everything."""
    backend = api(server)
    async with stream(server, "sse") as quick:
        await quick.ask("subscribe", channel=chat)
        await eventually(lambda: backend.channels(cent.ChannelsRequest()).channels[chat].num_clients == 2)
        sent = 0
        while backend.channels(cent.ChannelsRequest(pattern=chat)).channels[chat].num_clients == 2:
            backend.publish(cent.PublishRequest(channel=chat, data="x" * 100_000))
            assert len((await quick.push("pub"))["data"]) == 100_000
            sent += 1
            assert sent < 200, "it was never given up"


async def test_a_client_that_does_not_answer_pings_is_sent_away(start_node: StartNode) -> None:
    with start_node("memory://", {"PING": "0.2", "PONG": "0.3"}) as server:
        async with stream(server, "sse") as mute, stream(server, "http_stream") as answering:
            mute.mute = True
            reading = asyncio.create_task(answering.next())
            assert await mute.end() == 3012
            await eventually(lambda: answering.pings >= 5)
            assert not reading.done()
            reading.cancel()


async def test_too_many_commands_that_wait_end_their_client_and_no_other(server: Server) -> None:
    async with stream(server, "http_stream") as one, stream(server, "sse") as other:
        calls = [{"id": number, "rpc": {"method": "never"}} for number in range(2, 70)]
        assert await one.say(*calls) == 204
        for number in range(70, 200):
            assert await one.say({"id": number, "ping": {}}) == 204
        assert await one.end() == 3013
        assert await other.ask("ping") == {}


async def test_streams_leave_one_after_the_other_when_the_server_drains(start_node: StartNode) -> None:
    command = ("env", "-C", "tests/gateway", *HUBBUB, "run", "api_app:app", "--drain", "4")
    with start_node("memory://", command=command) as server:
        async with AsyncExitStack() as stack:
            kinds = ("sse", "http_stream") * 6
            streams = [await stack.enter_async_context(stream(server, kind)) for kind in kinds]
            ends = [asyncio.create_task(one.end()) for one in streams]
            server.process.send_signal(signal.SIGTERM)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            late = await stack.enter_async_context(stream(server, "sse"))
            assert await late.end() == 3001, "who comes now is sent on at once"
            assert sum(end.done() for end in ends) < len(ends) / 2
            assert await asyncio.gather(*ends) == [3001] * len(ends)
        await asyncio.to_thread(server.process.wait, 10)


async def test_streams_end_at_once_when_a_server_without_a_drain_stops(start_node: StartNode) -> None:
    command = ("env", "-C", "tests/gateway", *HUBBUB, "run", "api_app:app", "--drain", "0")
    with start_node("memory://", command=command) as server:
        async with stream(server, "sse") as events, stream(server, "http_stream") as lines:
            server.process.send_signal(signal.SIGTERM)
            assert [await one.end() for one in (events, lines)] == [3001, 3001]
        await asyncio.to_thread(server.process.wait, 10)


# Pages


async def ask(server: Server, method: str, path: str, **headers: str) -> httpx.Response:
    """A request of a browser's, as far as its head goes."""
    async with server.http() as http:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with http.stream(method, path, headers=named, content=CONNECT.encode()) as response:
            return response


PATHS = pytest.mark.parametrize("path", ["/connection/sse", "/connection/http_stream", "/emulation"])


@PATHS
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://friend.example.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_pages_that_are_not_allowed_are_refused(
    api_server: Server, path: str, headers: dict[str, str]
) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = await ask(api_server, method, path, **headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


@PATHS
async def test_an_allowed_page_may_ask_and_read_the_answer(api_server: Server, path: str) -> None:
    preflight = await ask(api_server, "OPTIONS", path, origin=FRIEND, access_control_request_method="POST")
    assert preflight.status_code == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    answer = await ask(api_server, "POST", path, origin=FRIEND, sec_fetch_site="cross-site")
    assert answer.status_code == (400 if path == "/emulation" else 200)
    for one in (preflight, answer):
        assert one.headers["access-control-allow-origin"] == FRIEND
        assert one.headers["vary"] == "Origin"
    own = await ask(api_server, "POST", path, origin=api_server.origin, sec_fetch_site="same-origin")
    assert own.status_code == answer.status_code


# Bad input


async def test_what_is_no_request_of_a_client_is_refused(api_server: Server) -> None:
    async with api_server.http() as http:
        assert (await http.get("/connection/sse")).status_code == 400
        assert (await http.post("/connection/http_stream")).status_code == 400
        assert (await http.get("/connection/http_stream")).status_code == 405
        assert (await http.put("/connection/sse")).status_code == 405
        assert (await http.head("/connection/sse")).status_code == 405
        for path, size in (
            ("/connection/sse", 65_537),
            ("/connection/http_stream", 65_537),
            ("/emulation", 140_000),
        ):
            assert (await http.post(path, content=b"a" * size)).status_code == 413
        for body in (b"", b"{}", b"[]", b"\xff", b'{"session":"a","node":"b","data":{}}', b'{"session":1}'):
            assert (await http.post("/emulation", content=body)).status_code == 400, body
        binary = {"content-type": "application/octet-stream"}
        for body in (b"", b"\x0a", b"\x0a\x01a", b"\xff" * 20):
            assert (await http.post("/emulation", content=body, headers=binary)).status_code == 400, body


async def test_a_body_that_does_not_come_is_not_waited_for(start_node: StartNode) -> None:
    with start_node("memory://", {"FIRST_MESSAGE": "0.3"}) as server:
        for path in ("/connection/sse", "/connection/http_stream", "/emulation"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf".encode())
            async with asyncio.timeout(10):
                assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
                await reader.read()  # to the end of the connection
            writer.close()
            await writer.wait_closed()


async def test_a_frame_that_is_too_large_ends_its_client(api_server: Server) -> None:
    async with stream(api_server, "http_stream") as one:
        large = json.dumps({"id": 2, "publish": {"channel": "open:a", "data": "x" * 65_536}})
        assert await one.say_frame(large) == 204
        assert await one.end() == 3501
