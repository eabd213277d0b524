"""A backend carries out what clients call; it is asked so much at a time, may be away, and is counted."""

import asyncio
import base64
import threading
from contextlib import AsyncExitStack
from typing import Any

from gateway_sdk import ENDPOINT, guest
from gateway_wire import wire
from hook_backend import HookBackend, Question, Reply
from scraping import scrape
from server_process import ServerProcess
from starlette.responses import Response

REQUESTS = "hubbub_hook_requests_total[connect]"
WELL = (f"{REQUESTS}[ok]", f"{REQUESTS}[refused]")
NO = {"error": {"code": 1001, "message": "not today"}}


def here(server: ServerProcess) -> Any:
    return wire(server.ws(ENDPOINT))


async def test_a_call_is_carried_out_by_the_backend(server: ServerProcess, backend: HookBackend) -> None:
    backend.says("rpc", {"result": {"data": {"answer": "2019"}}})
    async with here(server) as client:
        backend.question("connect")
        assert await client.ask("rpc", method="price", data={"id": 12}) == {"data": {"answer": "2019"}}
        question, headers = backend.question("rpc")
        assert (question["user"], question["method"], question["data"]) == ("ada", "price", {"id": 12})
        assert headers["x-key"]
        assert await client.ask("rpc", data=1) == {"data": {"answer": "2019"}}
        question, _ = backend.question("rpc")
        assert "method" not in question
        backend.says("rpc", {"result": {}})
        assert await client.ask("rpc", method="nothing") == {}
        backend.says("rpc", NO)
        assert await client.ask("rpc", method="price") == 1001
        backend.says("rpc", {"disconnect": {"code": 4000, "reason": "come back"}})
        await client.say({"id": 9, "rpc": {"method": "price"}})
        assert await client.end() == (4000, "come back")


async def test_an_answer_may_be_written_on_several_lines(server: ServerProcess, backend: HookBackend) -> None:
    backend.says("rpc", Response(b'{\n "result": {\n  "data": {\n   "a": "\\n"\n  }\n }\n}\n'))
    async with here(server) as client:
        assert await client.ask("rpc", method="a") == {"data": {"a": "\n"}}


async def test_a_protobuf_client_gets_bytes_in_base64_as_they_are(
    server: ServerProcess, backend: HookBackend
) -> None:
    backend.says("rpc", {"result": {"b64data": base64.b64encode(b"\xff\x00").decode()}})
    async with guest(server, None, protobuf=True) as one:
        assert (await one.sdk.rpc("bytes", b"\xfe")).data == b"\xff\x00"


async def test_only_so_many_questions_are_open(server: ServerProcess, backend: HookBackend) -> None:
    let_go = threading.Event()

    async def held(question: Question) -> Reply:
        await asyncio.to_thread(let_go.wait, 10)
        return {"result": {"data": 1}}

    backend.says("rpc", held)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(here(server)) for _ in range(6)]
        calls = [asyncio.ensure_future(client.ask("rpc", method="a")) for client in clients[:5]]
        for _ in range(6):
            await asyncio.to_thread(backend.asked.get, timeout=10)  # who they are
        for _ in range(5):
            await asyncio.to_thread(backend.asked.get, timeout=10)
        assert await clients[5].ask("rpc", method="a") == 111
        let_go.set()
        assert await asyncio.gather(*calls) == [{"data": 1}] * 5
        assert await clients[5].ask("rpc", method="a") == {"data": 1}


async def test_a_backend_may_go_and_come_back(server: ServerProcess, backend: HookBackend) -> None:
    backend.says("rpc", {"result": {"data": 1}})
    async with here(server) as client:
        assert await client.ask("rpc", method="a") == {"data": 1}
        backend.stop()
        try:
            assert await client.ask("rpc", method="a") == 100
            for _ in range(2):
                async with wire(server.ws(ENDPOINT), connected=False) as other:
                    assert await other.ask("connect") == 100
        finally:
            backend.start()
        assert await client.ask("rpc", method="a") == {"data": 1}
    counted = await scrape(server)
    failures = sum(count for name, count in counted.items() if name.startswith(REQUESTS) and name not in WELL)
    assert 1 <= server.log().count("the connect hook: ") < failures  # not for each client


async def test_questions_are_counted_by_event_and_outcome(
    server: ServerProcess, backend: HookBackend
) -> None:
    before = await scrape(server)
    answers: list[Any] = [{"result": {}}, NO, Response("", 500), {"result": 1}]
    async with here(server) as client:
        for answer in answers:
            backend.says("rpc", answer)
            await client.ask("rpc", method="a")
    after = await scrape(server)

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    counted = {
        name: grown(f"hubbub_hook_requests_total[rpc][{name}]")
        for name in ("ok", "refused", "status", "invalid", "timeout", "unreachable", "busy")
    }
    assert counted == {
        "ok": 1,
        "refused": 1,
        "status": 1,
        "invalid": 1,
        "timeout": 0,
        "unreachable": 0,
        "busy": 0,
    }
    assert grown("hubbub_hook_requests_total[connect][ok]") == 1
    assert grown("hubbub_hook_seconds_count") == 5
    assert 0 < grown("hubbub_hook_seconds_sum") < 20
