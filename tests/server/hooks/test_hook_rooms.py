"""A backend is asked who may come into a room, who may stay, and what may be published there."""

import asyncio
import base64
import threading
import time
from typing import Any

import pytest
from gateway_sdk import ENDPOINT, guest, room
from gateway_wire import Wire, wire
from hook_backend import HookBackend, Question, Reply, never
from server_process import ServerProcess
from starlette.responses import PlainTextResponse

from hubbub.auth import Tokens

SECRET = "a secret of the tests of hooks, no other"
KEY = {"X-API-Key": "an API key of the tests of hooks, no other"}
YES: dict[str, Any] = {"result": {}}
NO = {"error": {"code": 403, "message": "not here"}}
BANNED = {"disconnect": {"code": 4501, "reason": "banned"}}
SILENT: dict[str, Any] = {
    "a status": PlainTextResponse("no", 502),
    "no result": {"status": "ok"},
    "nonsense": {"result": []},
    "silence": never,
}


def here(server: ServerProcess) -> Any:
    """A client that the backend has let in."""
    return wire(server.ws(ENDPOINT))


async def asked(backend: HookBackend, event: str) -> Question:
    """The next question about an event; the one who a client is comes before."""
    while True:
        about, question, _ = await asyncio.to_thread(backend.asked.get, timeout=10)
        if about == event:
            return question
        assert about == "connect", (about, question)


async def failure(client: Wire, **command: Any) -> Any:
    """The whole error of a command."""
    await client.say({"id": 99, **command})
    return (await client.next())["error"]


# Subscribing


async def test_the_backend_lets_a_client_into_a_room_with_data_and_info(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    backend.says("connect", {"result": {"user": "ada", "meta": {"tenant": 7}}})
    backend.says("subscribe", {"result": {"data": {"topic": "x"}, "info": {"role": "admin"}}})
    backend.says("publish", YES)
    async with here(server) as client:
        result = await client.ask("subscribe", channel=name, data={"wish": 1})
        assert result["data"] == {"topic": "x"}
        assert "expires" not in result
        question = await asked(backend, "subscribe")
        assert question.pop("client")
        assert question == {
            "transport": "websocket",
            "protocol": "json",
            "encoding": "json",
            "user": "ada",
            "channel": name,
            "data": {"wish": 1},
            "meta": {"tenant": 7},
        }
        await client.ask("publish", channel=name, data=1)
        assert (await client.next())["push"]["pub"]["info"]["chan_info"] == {"role": "admin"}


async def test_options_of_a_room_can_be_others_for_one_client(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("subscribe", {"result": {"override": {"force_recovery": {"value": True}}}})
    async with here(server) as client:
        assert (await client.ask("subscribe", channel=room("asked")))["recoverable"]


async def test_an_error_keeps_a_client_out_and_a_disconnect_ends_it(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    backend.says("subscribe", NO)
    async with here(server) as client:
        assert await failure(client, subscribe={"channel": name}) == NO["error"]
        assert await client.ask("history", channel=name, limit=1) == 103
        backend.says("subscribe", BANNED)
        await client.say({"id": 9, "subscribe": {"channel": name}})
        assert await client.end() == (4501, "banned")


@pytest.mark.parametrize("answer", SILENT.values(), ids=list(SILENT))
async def test_nobody_comes_into_a_room_without_a_good_answer(
    server: ServerProcess, backend: HookBackend, answer: Any
) -> None:
    error = {"code": 100, "message": "internal server error", "temporary": True}
    for event in ("subscribe", "publish", "rpc"):
        backend.says(event, answer)
    async with here(server) as client, here(server) as second, here(server) as third:
        name = room("asked")
        assert (
            await asyncio.gather(
                failure(client, subscribe={"channel": name}),
                failure(second, publish={"channel": name, "data": 1}),
                failure(third, rpc={"method": "a"}),
            )
            == [error] * 3
        )
        backend.says("subscribe", YES)
        assert isinstance(await client.ask("subscribe", channel=name), dict)


async def test_tokens_other_rooms_and_personal_rooms_are_not_asked_about(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    token = server.secret(Tokens(SECRET).issue("ada", ttl=60, claims={"channel": name}))
    async with here(server) as client:
        backend.question("connect")
        assert isinstance(await client.ask("subscribe", channel=name, token=token), dict)
        assert isinstance(await client.ask("subscribe", channel=room("free")), dict)
        assert await client.ask("subscribe", channel="nowhere:a") == 102
        assert await client.ask("subscribe", channel="mine:ada") == 105
        assert await client.ask("subscribe", channel="mine:grace") == 103
    assert backend.asked.empty()


async def test_who_was_let_in_by_the_backend_counts_as_one_with_a_token(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("half")
    backend.says("subscribe", YES)
    async with here(server) as client:
        assert await client.ask("publish", channel=name, data=1) == 103
        await client.ask("subscribe", channel=name)
        assert await client.ask("publish", channel=name, data=1) == {}


async def test_a_client_that_resumes_is_asked_about_again(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    backend.says("subscribe", {"result": {"override": {"force_recovery": {"value": True}}}})
    backend.says("publish", YES)
    async with here(server) as client:
        begun = await client.ask("subscribe", channel=name)
        await client.ask("publish", channel=name, data={"secret": 1})
    position = {"channel": name, "recover": True, "epoch": begun["epoch"], "offset": 0}
    async with here(server) as client:
        assert (await client.ask("subscribe", **position))["publications"]
    backend.says("subscribe", NO)
    async with here(server) as client:
        assert await client.ask("subscribe", **position) == 403


# Going on


async def test_a_subscription_goes_on_as_long_as_the_backend_says(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    backend.says("subscribe", lambda _: {"result": {"expire_at": time.time() + 0.6}})
    backend.says("sub_refresh", lambda _: {"result": {"expire_at": time.time() + 0.6}})
    async with guest(server, None) as one:
        _, events, _ = await one.enter(name)
        await asked(backend, "subscribe")
        question = await asked(backend, "sub_refresh")
        assert (question["user"], question["channel"]) == ("ada", name)
        assert await asked(backend, "sub_refresh")
        backend.says("sub_refresh", {"result": {"expired": True}})
        assert (await events.next("subscribing")).code == 2501
        await events.next("subscribed")  # the SDK comes back, and is asked about


async def test_a_subscription_goes_on_while_the_backend_cannot_be_asked(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    backend.says("subscribe", lambda _: {"result": {"expire_at": time.time() + 0.6}})
    backend.says("sub_refresh", PlainTextResponse("no", 500))
    async with here(server) as client:
        await client.ask("subscribe", channel=name)
        await asked(backend, "subscribe")
        await asked(backend, "sub_refresh")
        assert await client.ask("subscribe", channel=name) == 105


# Publishing


async def test_what_is_published_can_be_changed_and_kept_out_of_the_history(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    backend.says("subscribe", YES)
    answers: list[dict[str, Any]] = [
        {},
        {"data": {"text": "mild"}, "tags": {"by": "backend"}},
        {"b64data": base64.b64encode(b'"b64"').decode(), "skip_history": True},
        {"data": None, "idempotency_key": "once"},
        {"idempotency_key": "once"},
    ]
    async with here(server) as client, server.http(headers=KEY) as http:
        await client.ask("subscribe", channel=name)
        for answer in answers:
            backend.says("publish", {"result": answer})
            assert await client.ask("publish", channel=name, data={"text": "rude"}) == {}
        heard = [(await client.push("pub")) for _ in range(4)]
        assert [one["data"] for one in heard] == [{"text": "rude"}, {"text": "mild"}, "b64", {"text": "rude"}]
        assert heard[1]["tags"] == {"by": "backend"}
        assert all(one["info"]["user"] == "ada" for one in heard)
        page = (await http.post("/api/history", json={"channel": name, "limit": 9})).json()["result"]
        assert [one["data"] for one in page["publications"]] == [
            heard[0]["data"],
            heard[1]["data"],
            heard[3]["data"],
        ]


async def test_what_is_refused_is_not_published(server: ServerProcess, backend: HookBackend) -> None:
    name = room("asked")
    async with here(server) as client, server.http(headers=KEY) as http:
        for answer, code in (
            (NO, 403),
            ({"result": {"version": 3}}, 108),
            ({"result": {"b64data": "%"}}, 100),
        ):
            backend.says("publish", answer)
            assert await client.ask("publish", channel=name, data=1) == code
        assert await client.ask("publish", channel="nowhere:a", data=1) == 102
        backend.says("publish", BANNED)
        await client.say({"id": 9, "publish": {"channel": name, "data": 1}})
        assert await client.end() == (4501, "banned")
        page = (await http.post("/api/history", json={"channel": name, "limit": 9})).json()["result"]
        assert page["publications"] == []


async def test_the_publications_of_one_client_keep_their_order(
    server: ServerProcess, backend: HookBackend
) -> None:
    name = room("asked")
    backend.says("subscribe", YES)

    async def later(question: Question) -> Reply:
        await asyncio.sleep(0.0 if question["data"] % 2 else 0.02)  # the odd ones would overtake
        return YES

    backend.says("publish", later)
    async with here(server) as client:
        await client.ask("subscribe", channel=name)
        await client.say(*({"id": n, "publish": {"channel": name, "data": n}} for n in range(10, 20)))
        heard: list[int] = []
        while len(heard) < 10:
            reply = await client.next()
            if "push" in reply:
                heard.append(reply["push"]["pub"]["data"])
        assert heard == list(range(10, 20))


async def test_a_slow_answer_holds_up_nobody_else(server: ServerProcess, backend: HookBackend) -> None:
    name = room("asked")
    backend.says("subscribe", YES)
    let_go = threading.Event()

    async def slow(question: Question) -> Reply:
        if question["data"] == "slow":
            await asyncio.to_thread(let_go.wait, 10)
        return YES

    backend.says("publish", slow)
    async with here(server) as slow_one, here(server) as quick_one:
        for client in (slow_one, quick_one):
            await client.ask("subscribe", channel=name)
        await slow_one.say({"id": 50, "publish": {"channel": name, "data": "slow"}})
        assert (await asked_to_publish(backend))["data"] == "slow"
        assert await quick_one.ask("publish", channel=name, data="quick") == {}
        assert (await quick_one.push("pub"))["data"] == "quick"
        assert (await slow_one.push("pub"))["data"] == "quick"
        let_go.set()
        assert (await quick_one.push("pub"))["data"] == "slow"


async def asked_to_publish(backend: HookBackend) -> Question:
    """The next question of that kind, whatever was asked before."""
    while True:
        about, question, _ = await asyncio.to_thread(backend.asked.get, timeout=10)
        if about == "publish":
            return question


async def test_bytes_that_are_no_json_go_in_base64(server: ServerProcess, backend: HookBackend) -> None:
    name = room("asked")
    backend.says("subscribe", YES)
    backend.says("publish", YES)
    async with guest(server, None, protobuf=True) as one:
        subscription, events, _ = await one.enter(name)
        await subscription.publish(b"\xff\x00")
        assert (await events.next("publication")).pub.data == b"\xff\x00"
        question = await asked_to_publish(backend)
        assert (question["encoding"], question["b64data"]) == ("binary", "/wA=")
        assert "data" not in question
