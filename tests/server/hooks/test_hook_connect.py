"""A backend is asked who a client is, and at the end of its session whether it goes on."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import Any

import jwt
import pytest
from gateway_sdk import ENDPOINT, guest
from gateway_wire import Wire, wire
from hook_backend import HookBackend, never
from server_process import ServerProcess
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from hubbub.auth import Tokens

SECRET = "a secret of the tests of hooks, no other"
REFUSED = {"error": {"code": 1000, "message": "try later", "temporary": True}}
BANNED = {"disconnect": {"code": 4501, "reason": "banned"}}


def user(name: str = "ada", **result: Any) -> dict[str, Any]:
    return {"result": {"user": name, **result}}


def soon() -> float:
    """When a session is to end, if nothing is said about it."""
    return time.time() + 0.6


def knock(server: ServerProcess, **options: Any) -> Any:
    """A connection that has not said yet who it is."""
    return wire(server.ws(ENDPOINT), connected=False, **options)


async def said(client: Wire, **request: Any) -> Any:
    """What the server says to a connect message: the whole reply."""
    await client.say({"id": 1, "connect": request})
    return await client.next()


async def test_the_question_has_what_the_client_said_and_only_the_headers_that_are_listed(
    server: ServerProcess, backend: HookBackend
) -> None:
    cookie = server.secret("session=the-cookie-of-ada-alone")
    headers = {"Cookie": cookie, "X-Other": "no", "User-Agent": "test"}
    async with knock(server, additional_headers=headers) as client:
        reply = await said(client, data={"a": [1]}, name="web", version="1.2")
        id = reply["connect"]["client"]
    question, seen = backend.question("connect")
    assert question == {
        "client": id,
        "transport": "websocket",
        "protocol": "json",
        "encoding": "json",
        "data": {"a": [1]},
        "name": "web",
        "version": "1.2",
    }
    assert seen["cookie"] == cookie
    assert seen["content-type"] == "application/json"
    assert seen["x-key"] == "a-key-that-only-the-backend-knows"
    assert "x-other" not in seen
    assert seen["user-agent"].startswith("hubbub/")


async def test_the_answer_says_who_it_is_and_what_it_is_subscribed_to(
    server: ServerProcess, backend: HookBackend
) -> None:
    result = {
        "info": {"name": "Ada"},
        "data": {"hello": "\n"},
        "channels": ["free:a"],
        "subs": {"free:b": {"data": {"b": 1}, "info": {"role": "x"}}},
        "caps": [],
    }
    backend.says("connect", user(**result))
    async with knock(server) as client:
        connected = (await said(client))["connect"]
        assert connected["data"] == {"hello": "\n"}
        assert "expires" not in connected
        assert set(connected["subs"]) == {"free:a", "free:b", "mine:ada"}  # the personal room among them
        assert connected["subs"]["free:b"]["data"] == {"b": 1}
        assert await client.ask("publish", channel="free:b", data=1) == {}
        info = (await client.next())["push"]["pub"]["info"]
        assert info == {
            "user": "ada",
            "client": connected["client"],
            "conn_info": {"name": "Ada"},
            "chan_info": {"role": "x"},
        }


async def test_an_empty_user_is_somebody_anonymous(server: ServerProcess, backend: HookBackend) -> None:
    backend.says("connect", user(""))
    async with wire(server.ws(ENDPOINT)) as client:
        assert await client.ask("subscribe", channel="free:a") == 103


async def test_an_error_is_told_and_a_disconnect_ends_the_connection(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("connect", REFUSED)
    async with knock(server) as client:
        assert await said(client) == {"id": 1, **REFUSED}
    backend.says("connect", BANNED)
    async with knock(server) as client:
        await client.say({"id": 1, "connect": {}})
        assert await client.end() == (4501, "banned")


NONSENSE: dict[str, Any] = {
    "a status": PlainTextResponse("no", 500),
    "a status with an answer": JSONResponse(user(), 201),
    "no JSON": PlainTextResponse("<html>"),
    "no result": {"ok": True},
    "a list": JSONResponse([]),
    "a user that is a number": user(7),  # type: ignore[arg-type]
    "a user that is too long": user("u" * 5_000),
    "rooms that are none": user(channels={"a": 1}),
    "base64 that is none": user(b64data="%"),
    "a disconnect that cannot be": {"disconnect": {"code": 1}},
    "much": Response(b'{"result": {"user": "ada"}}' + b" " * 1_100_000),
    "a redirect": RedirectResponse("/rpc", 307),
    "silence": never,
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=list(NONSENSE))
async def test_nobody_comes_in_without_a_good_answer_and_may_try_again(
    server: ServerProcess, backend: HookBackend, answer: Any
) -> None:
    backend.says("rpc", user())  # where the redirect points to
    backend.says("connect", answer)
    async with knock(server) as client:
        error = {"code": 100, "message": "internal server error", "temporary": True}
        assert await said(client) == {"id": 1, "error": error}
    assert backend.question("connect")
    assert backend.asked.empty()


async def test_a_client_without_websockets_is_asked_about_with_the_cookie_of_its_own_request(
    server: ServerProcess, backend: HookBackend
) -> None:
    cookie = server.secret("session=the-cookie-of-a-stream")
    async with (
        server.http(headers={"Cookie": cookie}) as http,
        http.stream("POST", "/connection/http_stream", json={"id": 1, "connect": {}}) as stream,
    ):
        assert "client" in json.loads(await anext(stream.aiter_lines()))["connect"]
    question, seen = backend.question("connect")
    assert (question["transport"], seen["cookie"]) == ("http_stream", cookie)


async def test_what_a_backend_sets_as_a_cookie_goes_to_nobody(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("connect", JSONResponse(user(), headers={"Set-Cookie": "session=of-another; Path=/"}))
    for _ in range(2):
        async with wire(server.ws(ENDPOINT)):
            _, headers = backend.question("connect")
            assert "cookie" not in headers


async def test_who_shows_a_token_is_not_asked_about(server: ServerProcess, backend: HookBackend) -> None:
    token = server.secret(Tokens(SECRET).issue("grace", ttl=60))
    backend.says("rpc", {"result": {"data": 1}})
    async with wire(server.ws(ENDPOINT), token) as client:
        await client.ask("rpc", method="who")
        question, _ = backend.question("rpc")
        assert question["user"] == "grace"


async def test_headers_in_the_connect_message_go_along_if_they_are_listed_and_the_handshake_counts_more(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("rpc", {"result": {}})
    mine = {"X-Device": "phone", "authorization": "Bearer mine", "cookie": "no", "x-key": "no"}
    async with knock(server) as client:
        await said(client, headers=mine)
        await client.ask("rpc", method="a")
        for event in ("connect", "rpc"):  # they are kept for later questions
            _, seen = backend.question(event)
            assert (seen["x-device"], seen["authorization"]) == ("phone", "Bearer mine")
            assert "cookie" not in seen
            assert seen["x-key"] != "no"
    async with knock(server, additional_headers={"Authorization": "Bearer real"}) as client:
        await said(client, headers={**mine, "x-device": "a\r\nX-Evil: b"})
        _, seen = backend.question("connect")
        assert seen.getlist("authorization") == ["Bearer real"]
        assert "x-device" not in seen
        assert "x-evil" not in seen


@pytest.mark.parametrize("protobuf", [False, True])
async def test_the_sdk_connects_without_a_token_and_comes_back_when_the_backend_is_well(
    server: ServerProcess, backend: HookBackend, protobuf: bool
) -> None:
    answers = iter([REFUSED, PlainTextResponse("no", 503), user(data={"hello": 1})])
    backend.says("connect", lambda _: next(answers))
    async with guest(server, None, protobuf=protobuf) as one:
        connected = await one.events.next("connected")
        assert connected.data == one.data('{"hello":1}')
    question, _ = backend.question("connect")
    assert question["protocol"] == ("protobuf" if protobuf else "json")


async def test_a_session_goes_on_as_long_as_the_backend_says(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("connect", lambda _: user(expire_at=soon(), info={"n": 1}, meta={"tenant": 7}))
    backend.says("refresh", lambda _: {"result": {"expire_at": soon(), "info": {"n": 2}}})
    async with knock(server) as client:
        connected = (await said(client))["connect"]
        assert "expires" not in connected  # no client has to do anything
        backend.question("connect")
        question, _ = await asyncio.to_thread(backend.question, "refresh")
        assert question == {
            "client": connected["client"],
            "transport": "websocket",
            "protocol": "json",
            "encoding": "json",
            "user": "ada",
            "meta": {"tenant": 7},
        }
        await asyncio.to_thread(backend.question, "refresh")
        await client.ask("subscribe", channel="free:a")
        await client.ask("publish", channel="free:a", data=1)
        assert (await client.next())["push"]["pub"]["info"]["conn_info"] == {"n": 2}
        backend.says("refresh", {"result": {"expired": True}})
        assert await client.end() == (3005, "connection expired")


async def test_a_session_goes_on_while_its_backend_cannot_be_asked(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("connect", lambda _: user(expire_at=soon()))
    backend.says("refresh", PlainTextResponse("no", 500))
    backend.says("rpc", {"result": {"data": "here"}})
    async with wire(server.ws(ENDPOINT)) as client:
        backend.question("connect")
        await asyncio.to_thread(backend.question, "refresh")
        assert await client.ask("rpc", method="a") == {"data": "here"}


async def test_a_session_ends_whose_backend_names_no_later_end(
    server: ServerProcess, backend: HookBackend
) -> None:
    ends: dict[str, Any] = {
        "expired": {"result": {"expired": True, "expire_at": time.time() + 60}},
        "nothing": {"result": {}},
        "past": {"result": {"expire_at": 1}},
        "error": REFUSED,
    }
    backend.says("connect", lambda question: user(question["data"], expire_at=soon()))
    backend.says("refresh", lambda question: ends[question["user"]])
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(knock(server)) for _ in ends]
        for client, name in zip(clients, ends, strict=True):
            assert "connect" in await said(client, data=name)
        for client in clients:
            assert await client.end() == (3005, "connection expired")


async def test_a_session_that_began_with_a_token_goes_on_and_its_token_can_still_be_revoked(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("refresh", lambda _: {"result": {"expire_at": time.time() + 60}})
    claims = {"jti": "revoked-one", "exp": soon(), "meta": {"tenant": 7}}
    token = server.secret(jwt.encode({**claims, "sub": "grace"}, SECRET))
    key = {"X-API-Key": "an API key of the tests of hooks, no other"}
    async with wire(server.ws(ENDPOINT), token) as client, server.http(headers=key) as http:
        question, _ = await asyncio.to_thread(backend.question, "refresh")
        assert (question["user"], question["meta"]) == ("grace", {"tenant": 7})
        await http.post("/api/revoke_token", json={"uid": "revoked-one"})
        assert (await client.end())[0] == 3500


async def test_users_that_the_backend_knows_are_ended_and_blocked_like_others(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("connect", user("mallory"))
    key = {"X-API-Key": "an API key of the tests of hooks, no other"}
    async with wire(server.ws(ENDPOINT)) as client, server.http(headers=key) as http:
        assert (await http.post("/api/disconnect", json={"user": "mallory"})).json() == {"result": {}}
        assert (await client.end())[0] == 3503
        await http.post("/api/block_user", json={"user": "mallory"})
        async with knock(server) as again:
            await again.say({"id": 1, "connect": {}})
            assert (await again.end())[0] == 3507
