"""The auth dependencies in an app of their own, over uvicorn and a real socket."""

import json
import secrets
from collections.abc import Iterator

import pytest
from server_process import ROOT, UVICORN, ServerProcess, running
from socket_client import UNAUTHORIZED, closed, heard, heard_json, opened, refusal, rejected

from hubbub import Hub
from hubbub.auth import Tickets, Tokens
from hubbub.core.errors import ConfigurationError
from hubbub.core.users import User
from hubbub.fastapi import Auth, Source

SECRET = secrets.token_urlsafe(32)
ALLOWED = "https://app.example.com"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The app with all locks; fails at the end for a traceback or a secret in the log."""
    command = [
        *UVICORN,
        "guarded_app:app",
        "--app-dir",
        str(ROOT / "tests/security"),
        "--log-level",
        "trace",
    ]
    log = tmp_path_factory.mktemp("guarded") / "log"
    with running(command, log, {"GUARDED_SECRET": SECRET}) as server:
        server.secret(SECRET)
        yield server


@pytest.fixture
def token(guarded: ServerProcess) -> str:
    return guarded.secret(Tokens(SECRET).issue("ada"))


# The first message


async def test_a_late_first_message_is_refused(guarded: ServerProcess) -> None:
    assert await refusal(guarded, "/token") == (UNAUTHORIZED, 1008)


async def test_a_first_message_in_time_is_the_only_one_that_has_to_hurry(
    guarded: ServerProcess, token: str
) -> None:
    async with opened(guarded, "/token") as client, opened(guarded, "/token") as late:
        await client.send(json.dumps({"token": token}))
        assert await heard_json(client) == {"type": "auth_ok", "user": "ada", "same": True}
        # The other one's time is over now, and so would this one's be.
        assert (await closed(late))[1] == 1008
        await client.send("still here")
        assert await heard(client) == "still here"


async def test_the_limit_of_the_first_message_is_the_hubs(guarded: ServerProcess, token: str) -> None:
    padded = json.dumps({"token": token, "padding": "x" * 2_048})
    assert await refusal(guarded, "/token", padded) == (UNAUTHORIZED, 1008)


async def test_later_messages_may_be_larger_than_the_first(guarded: ServerProcess, token: str) -> None:
    async with opened(guarded, "/token") as client:
        await client.send(json.dumps({"token": token}))
        assert (await heard_json(client))["type"] == "auth_ok"
        await client.send("x" * 4_096)
        assert await heard(client) == "x" * 4_096


@pytest.mark.parametrize("way", ["query", "first_message"])
async def test_the_dependency_works_without_a_connection_of_the_hub(
    guarded: ServerProcess, token: str, way: str
) -> None:
    async with opened(guarded, f"/plain?token={token}" if way == "query" else "/plain") as client:
        if way == "first_message":
            await client.send(json.dumps({"token": token}))
        assert await heard(client) == "ada"
        await client.send("hi")
        assert await closed(client) == (["hi"], 1000, "")
    assert await refusal(guarded, "/plain?token=wrong") == (UNAUTHORIZED, 1008)


# Sessions and tokens of one's own


@pytest.mark.parametrize("path", ["/session", "/slow-session"])
async def test_a_session_is_looked_up(guarded: ServerProcess, path: str) -> None:
    async with opened(guarded, path, additional_headers={"Cookie": "sid=known"}) as client:
        assert await heard_json(client) == {"type": "auth_ok", "user": "ada", "same": True}
    for cookie in ("sid=unknown", "sid=", "session=known", "sid", "SID=known"):
        headers = {"Cookie": cookie}
        assert await refusal(guarded, path, additional_headers=headers) == (UNAUTHORIZED, 1008), cookie
    assert await refusal(guarded, path) == (UNAUTHORIZED, 1008)


async def test_a_session_is_a_login_over_http(guarded: ServerProcess, token: str) -> None:
    async with guarded.http() as http:
        assert (await http.get("/who", headers={"Cookie": "sid=known"})).json() == "ada"
        assert (await http.get("/who", headers={"Authorization": f"Bearer {token}"})).json() == "ada"
        assert (await http.get("/who", headers={"Authorization": f"bearer  {token}"})).json() == "ada"
        for headers in ({}, {"Cookie": "sid=unknown"}, {"Authorization": "Bearer x", "Cookie": "sid=known"}):
            assert (await http.get("/who", headers=headers)).status_code == 401


async def test_a_verifier_of_ones_own_decides(guarded: ServerProcess) -> None:
    name = secrets.token_urlsafe(32)
    opaque = guarded.secret(f"opaque-{name}")
    async with opened(guarded, "/opaque", subprotocols=["bearer", opaque]) as client:
        assert (await heard_json(client))["user"] == name
    async with opened(guarded, f"/opaque?x=1&token={opaque}") as client:
        assert (await heard_json(client))["user"] == name
    async with opened(guarded, "/opaque", additional_headers={"Cookie": f"a=b; session={opaque}"}) as client:
        assert (await heard_json(client))["user"] == name
    async with opened(guarded, "/opaque") as client:
        await client.send(json.dumps({"token": opaque}))
        assert (await heard_json(client))["user"] == name
    assert await refusal(guarded, "/opaque?token=other") == (UNAUTHORIZED, 1008)


async def test_a_broker_that_is_away_closes_1013_and_tells_nothing_of_itself(guarded: ServerProcess) -> None:
    ticket = guarded.secret(Tickets(SECRET, _never).issue(User("ada")))
    async with opened(guarded, f"/outage?ticket={ticket}") as client:
        told = '{"type":"error","msg":"Try again later"}'
        assert await closed(client) == ([told], 1013, "Try again later")


async def _never(key: str, seconds: float) -> bool:
    return False


# Origins


@pytest.mark.parametrize("path", ["/token", "/session", "/opaque"])
async def test_an_origin_on_the_list_may_connect_and_one_near_it_may_not(
    guarded: ServerProcess, path: str
) -> None:
    for origin in (ALLOWED, f"{ALLOWED}:443"):
        sent = [] if path == "/session" else ["{}"]
        assert await refusal(guarded, path, *sent, origin=origin) == (UNAUTHORIZED, 1008)
    for origin in (
        "http://app.example.com",
        "https://example.com",
        "https://x.app.example.com",
        "https://app.example.com.evil.com",
        "https://app.example.com:8443",
        "https://app.example.com/path",
        "https://app.example.comevil",
        "null",
    ):
        assert await rejected(guarded, path, origin=origin) == 403, origin


# API keys


@pytest.mark.parametrize("path", ["/off", "/empty"])
async def test_without_a_key_everybody_is_refused(guarded: ServerProcess, path: str) -> None:
    async with guarded.http() as http:
        for headers in ({}, {"X-API-Key": ""}, {"X-API-Key": "None"}, {"Authorization": "apikey"}):
            assert (await http.get(path, headers=headers)).status_code == 403


async def test_a_key_may_have_any_characters(guarded: ServerProcess) -> None:
    key = "clé-0123456789-0123456789-0123456789"
    async with guarded.http() as http:
        for name, prefix in (("X-API-Key", ""), ("Authorization", "apikey ")):
            answer = await http.get("/keyed", headers={name: (prefix + key).encode()})
            assert answer.status_code == 200
            for wrong in (key.encode("latin-1"), b"\xff\xfe", key.replace("é", "e").encode()):
                answer = await http.get("/keyed", headers={name: prefix.encode() + wrong})
                assert answer.status_code == 401
                assert answer.headers["WWW-Authenticate"] == "apikey"


# Declarations that cannot work


def test_tickets_have_to_be_given_where_they_are_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="needs tickets"):
        Auth(Hub(), Tokens(SECRET), sources=(Source.TICKET,))
    with pytest.raises(ConfigurationError, match="needs tickets"):
        Auth(Hub(), Tokens(SECRET)).only(Source.TICKET)
