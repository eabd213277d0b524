"""What an operator does from the admin page, seen by the clients it is done to."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from admin_client import ADMIN_KEY, BEARER, asked
from admin_servers import serving
from polling import eventually
from server_process import ServerProcess
from socket_client import closed, heard_json, heard_until, opened

from hubbub.auth import Tokens

COMMANDS = {
    "publish": {"room": "news:a", "data": 1},
    "disconnect": {"connection": "x"},
    "disconnect_user": {"user": "x"},
    "unsubscribe": {"connection": "x", "room": "news:a"},
    "drain": {"node": "x"},
}


async def connected(client: Any, room: str, token: str = "") -> str:
    """The id of a client of the protocol that has come into a room."""
    await client.send(json.dumps({"id": 1, "connect": {"token": token}}))
    reply = await heard_json(client)
    await client.send(json.dumps({"id": 2, "subscribe": {"channel": room}}))
    await heard_json(client)
    id: str = reply["connect"]["client"]
    return id


async def id_of(server: ServerProcess, search: str) -> str:
    """The id of the one connection that is found so."""
    rows = (await asked(server, "connections", search=search))["rows"]
    assert len(rows) == 1, rows
    id: str = rows[0]["id"]
    return id


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 401),
        ({"Content-Type": "application/json", "Cookie": f"key={ADMIN_KEY}"}, 401),
        ({"Content-Type": "application/json", **BEARER, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json", **BEARER, "Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain", **BEARER}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded", **BEARER}, 415),
        ({**BEARER}, 415),
    ],
    ids=["no key", "cookie", "cross-site", "other origin", "text", "form", "no type"],
)
async def test_a_command_needs_key_own_page_and_json(
    admin: ServerProcess, command: str, headers: dict[str, str], status: int
) -> None:
    async with admin.http(headers=headers) as http:
        content = json.dumps(COMMANDS[command]).encode()
        answer = await http.post(f"/admin/api/{command}", content=content)
        assert answer.status_code == status
        assert (await http.get(f"/admin/api/{command}")).status_code == 405


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("publish", b"no JSON"),
        ("publish", b"\xff"),
        ("publish", b'{"room":"news:a"}'),
        ("publish", b'{"room":"news:a","data":1,"text":"x"}'),
        ("publish", b'{"room":"#nodes","text":"x"}'),
        ("publish", b'{"room":"*","text":"x"}'),
        ("publish", b'{"room":"news:a","data":' + b"[" * 100 + b"]" * 100 + b"}"),
        ("disconnect", b"{}"),
        ("disconnect", b"[]"),
        ("disconnect", b'{"connection":""}'),
        ("disconnect", b'{"connection":"x","more":1}'),
        ("disconnect_user", b'{"user":""}'),
        ("unsubscribe", b'{"connection":"x"}'),
        ("drain", b'{"node":1}'),
    ],
)
async def test_a_command_that_is_none_is_refused(admin: ServerProcess, command: str, body: bytes) -> None:
    async with admin.http(headers={**BEARER, "Content-Type": "application/json"}) as http:
        assert (await http.post(f"/admin/api/{command}", content=body)).status_code == 400


async def test_too_much_is_refused(admin: ServerProcess) -> None:
    async with admin.http(headers=BEARER) as http:
        body = {"room": "news:a", "text": "x" * 200_000}
        assert (await http.post("/admin/api/publish", json=body)).status_code == 413


async def test_what_is_published_comes_to_members_as_text_or_json(admin: ServerProcess) -> None:
    async with opened(admin, "/ws/room/published") as plain, opened(admin, "/connection/websocket") as client:
        await connected(client, "news:published")
        assert await asked(admin, "publish", {"room": "room:published", "text": "5"}) == {}
        await heard_until(plain, "5")
        answer = await asked(admin, "publish", {"room": "news:published", "data": {"a": [1, None]}})
        assert answer["offset"] == 1
        push = await heard_json(client)
        assert push["push"]["pub"]["data"] == {"a": [1, None]}


async def test_a_connection_is_ended_on_whatever_node_it_is_and_no_other(
    pair: tuple[ServerProcess, ServerProcess],
) -> None:
    async with (
        opened(pair[1], "/chat/kick?username=kicked") as kicked,
        opened(pair[1], "/chat/kick?username=staying") as staying,
        opened(pair[1], "/connection/websocket") as client,
    ):
        id = await connected(client, "news:kick")
        done = await asked(pair[0], "disconnect", {"connection": await id_of(pair[0], "kicked")})
        assert done == {"done": 1}
        assert (await closed(kicked))[1:] == (1008, "disconnected")
        assert await asked(pair[0], "disconnect", {"connection": id}) == {"done": 1}
        assert (await closed(client))[1] == 3503
        await staying.send("still here")
        assert await heard_until(staying, '{"from":"staying","text":"still here"}')
        assert await asked(pair[0], "disconnect", {"connection": id}) == {"done": 0}


async def test_a_user_is_ended_everywhere(tmp_path: Path) -> None:
    secret = "s" * 40
    with serving(tmp_path, secret=secret) as server:
        token = server.secret(Tokens(secret).issue("ada"))
        async with (
            opened(server, "/connection/websocket") as one,
            opened(server, "/connection/websocket") as two,
        ):
            await connected(one, "news:a", token)
            await connected(two, "news:b", token)
            assert (await asked(server, "connections", search="ada", sort="user"))["total"] == 2
            assert await asked(server, "disconnect_user", {"user": "ada"}) == {"done": 2}
            assert (await closed(one))[1] == (await closed(two))[1] == 3503


async def test_a_client_is_taken_out_of_a_room_and_told(pair: tuple[ServerProcess, ServerProcess]) -> None:
    async with opened(pair[1], "/connection/websocket") as client, opened(pair[1], "/ws/room/out") as plain:
        body = {"connection": await connected(client, "news:out"), "room": "news:out"}
        assert await asked(pair[0], "unsubscribe", body) == {"done": 1}
        push = await heard_json(client)
        assert push["push"]["channel"] == "news:out"
        assert "unsubscribe" in push["push"]
        assert await asked(pair[0], "unsubscribe", body) == {"done": 0}
        body = {"connection": await id_of(pair[0], "room:out"), "room": "room:out"}
        assert await asked(pair[0], "unsubscribe", body) == {"done": 1}
        assert (await asked(pair[0], "rooms", search="room:out"))["total"] == 0
        await plain.send("it may go on speaking")


async def test_a_node_is_drained_and_no_other(tmp_path: Path) -> None:
    broker = f"embedded://{tmp_path}/valkey"
    with serving(tmp_path, broker=broker) as first, serving(tmp_path, broker=broker) as second:
        async with opened(second, "/ws/room/drain") as client:
            await eventually(lambda: _nodes(first), 20)
            node = (await asked(first, "connections", search="room:drain"))["rows"][0]["node"]
            assert await asked(first, "drain", {"node": node}) == {"done": 1}
            assert (await closed(client))[1] == 1012
        assert second.process.wait(15) == -signal.SIGTERM
        assert first.process.poll() is None
        assert await asked(first, "drain", {"node": node}) == {"done": 0}


async def _nodes(server: ServerProcess) -> bool:
    return bool((await asked(server, "connections", search="room:drain"))["nodes"] == 2)
