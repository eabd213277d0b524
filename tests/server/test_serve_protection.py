"""``hubbub serve`` under a flood: who floods is refused and closed, and nobody else is touched."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from server_process import HUBBUB, ServerProcess, running
from socket_client import closed, heard, opened
from websockets.exceptions import ConnectionClosed, InvalidStatus

BURST = 5
TOO_MANY = '{"type":"error","msg":"Too many messages"}'
SLOW = {
    "HUBBUB_MESSAGE_RATE": "0.001",
    "HUBBUB_MESSAGE_BURST": str(BURST),
    "HUBBUB_HANDSHAKE_RATE": "0.001",
    "HUBBUB_HANDSHAKE_BURST": "4",
    "HUBBUB_MAX_CONNECTIONS_PER_ADDRESS": "2",
}
"""So few that the tests need no time, and that no time gives anything back."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    command = [*HUBBUB, "serve", "--drain", "0"]
    with running(command, tmp_path_factory.mktemp("protected") / "log", SLOW) as server:
        yield server


async def send_all(client: Any, *texts: str) -> None:
    """Send, until the server has had enough."""
    try:
        for text in texts:
            await client.send(text)
    except ConnectionClosed:
        return


async def test_a_flood_into_a_plain_room_is_refused_and_others_are_heard(server: ServerProcess) -> None:
    async with (
        opened(server, "/ws/room/a?username=calm") as calm,
        opened(server, "/ws/room/a?username=flood") as flood,
    ):
        await send_all(flood, *["flood"] * 200)
        messages, code, reason = await closed(flood)
        assert (code, reason) == (1008, "too many messages")
        assert messages.count(TOO_MANY) == 4
        await calm.send("still here")
        while (said := await heard(calm)) != "[a] calm: still here":
            assert said in (
                "A new user joined #a",
                "[a] flood: flood",
                "flood left",
            ), said


async def test_a_flood_over_the_protocol_is_answered_with_111_and_closed(server: ServerProcess) -> None:
    async with opened(server, "/connection/websocket") as client:
        await client.send('{"id":1,"connect":{}}')
        assert "connect" in json.loads(await heard(client))
        await send_all(client, *(json.dumps({"id": n, "publish": {"channel": "x"}}) for n in range(2, 200)))
        messages, code, _ = await closed(client)
    replies = [json.loads(line) for text in messages for line in str(text).splitlines()]
    assert [one["error"]["code"] for one in replies[BURST:]] == [111, 111, 111]
    assert code == 3013


async def test_a_flood_by_emulation_is_closed(server: ServerProcess) -> None:
    connect = {"id": 1, "connect": {}}
    async with (
        server.http(timeout=20) as http,
        http.stream("POST", "/connection/http_stream", json=connect) as stream,
    ):
        lines = stream.aiter_lines()
        told = json.loads(await anext(lines))["connect"]
        for number in range(2, 2 + BURST + 4):
            frame = json.dumps({"id": number, "publish": {"channel": "x"}})
            body = {"session": told["session"], "node": told["node"], "data": frame}
            assert (await http.post("/emulation", json=body)).status_code == 204
        said = [json.loads(line) async for line in lines if line.strip()]
    assert [one["error"]["code"] for one in said if "error" in one][BURST:] == [111, 111, 111]
    assert said[-1]["push"]["disconnect"]["code"] == 3013


@asynccontextmanager
async def from_address(server: ServerProcess, address: str, path: str = "/ws/room/b") -> AsyncIterator[Any]:
    """A connection that the proxy on this machine, which is believed, says is of another address."""
    async with opened(server, path, additional_headers={"X-Forwarded-For": address}) as client:
        yield client


async def test_an_address_has_so_many_connections_and_comes_so_often(server: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(from_address(server, "203.0.113.1"))
        with pytest.raises(InvalidStatus) as refused:
            await stack.enter_async_context(from_address(server, "203.0.113.1"))
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"] == "1"
        assert b"of this address" in (refused.value.response.body or b"")
        await stack.enter_async_context(from_address(server, "203.0.113.2"))
    # Three handshakes so far, and a fourth: one more of this address is too many, whatever it is for.
    async with from_address(server, "203.0.113.1"):
        pass
    for path in ("/ws/room/b", "/chat/b", "/connection/websocket"):
        with pytest.raises(InvalidStatus) as refused:
            async with from_address(server, "203.0.113.1", path):
                pass
        assert refused.value.response.status_code == 503, path
        assert b"in a short time" in (refused.value.response.body or b""), path
    headers = {"X-Forwarded-For": "203.0.113.1"}
    async with server.http(headers=headers) as http:
        answer = await http.post("/connection/http_stream", json={"id": 1, "connect": {}})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await http.get("/health")).status_code == 200


@pytest.mark.parametrize("body", [{"session": "guess", "node": "guess", "data": "{}"}, {"session": 5}])
async def test_an_address_guesses_sessions_only_so_often(
    server: ServerProcess, body: dict[str, object]
) -> None:
    address = f"198.51.100.{len(body)}"
    async with (
        from_address(server, address, "/connection/websocket"),
        server.http(headers={"X-Forwarded-For": address}) as http,
    ):
        answers = [await http.post("/emulation", json=body) for _ in range(6)]
        once = 404 if "node" in body else 400
        assert [one.status_code for one in answers] == [once, once, once, 503, 503, 503]
        assert answers[-1].headers["retry-after"] == "1"
    with pytest.raises(InvalidStatus) as refused:
        async with from_address(server, address):
            pass
    assert refused.value.response.status_code == 503, "it counts like a handshake"


async def test_a_session_that_has_gone_counts_like_a_handshake_and_one_that_is_there_does_not(
    server: ServerProcess,
) -> None:
    headers = {"X-Forwarded-For": "198.51.100.7"}
    async with (
        server.http(headers=headers, timeout=20) as http,
        http.stream("POST", "/connection/http_stream", json={"id": 1, "connect": {}}) as stream,
    ):
        lines = stream.aiter_lines()
        told = json.loads(await anext(lines))["connect"]
        gone = {"session": "gone", "node": told["node"], "data": "{}"}
        counted = [(await http.post("/emulation", json=gone)).status_code for _ in range(4)]
        assert counted == [204, 204, 204, 503]
        for number in range(2, 6):
            frame = json.dumps({"id": number, "publish": {"channel": "x"}})
            mine = {"session": told["session"], "node": told["node"], "data": frame}
            assert (await http.post("/emulation", json=mine)).status_code == 204


async def test_without_an_address_that_says_something_nobody_is_counted_by_it(server: ServerProcess) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(6):
            await stack.enter_async_context(opened(server, "/ws/room/c"))


def test_pages_are_not_limited(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.origin, headers={"X-Forwarded-For": "203.0.113.9"}) as http:
        assert {http.get("/chat").status_code for _ in range(20)} == {200}
