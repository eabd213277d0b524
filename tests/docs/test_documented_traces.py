"""OpenTelemetry as docs/how-to/observe.md has it: what it traces, and that no token is in a span."""

import asyncio
import json
import re
import secrets
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from document_blocks import ROOT, blocks_of
from polling import eventually
from server_process import HUBBUB, ServerProcess, running
from websockets.asyncio.client import connect

from hubbub.auth import Tokens

BLOCKS = blocks_of(ROOT / "docs/how-to/observe.md")
APP = next(block.text for block in BLOCKS if "FastAPIInstrumentor" in block.text)
SERVE = next(block.text for block in BLOCKS if "opentelemetry-instrument hubbub" in block.text)
KEY = secrets.token_urlsafe(32)
TRACE = "0af7651916cd43dd8448eb211c80319c"
FROM_A_CALLER = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
BOTH_CONVENTIONS = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup"}
Span = dict[str, Any]


def spans_of(log: str) -> list[Span]:
    """What the exporter for consoles has printed between the lines of the server."""
    decoder = json.JSONDecoder()
    return [decoder.raw_decode(log, found.start())[0] for found in re.finditer(r"^\{$", log, re.MULTILINE)]


def names(spans: list[Span]) -> Counter[str]:
    return Counter(span["name"] for span in spans)


async def call(server: ServerProcess, token: str) -> None:
    """Use each way into the server with a token in the query; one of them is refused for it."""
    async with connect(server.ws(f"/chat/general?token={token}"), additional_headers=FROM_A_CALLER) as member:
        for text in ("one", "two", "three"):
            await member.send(text)
            while text not in str(await member.recv()):
                pass
    async with connect(server.ws(f"/connection/websocket?token={token}")) as client:
        await client.send('{"id":1,"connect":{}}')
        assert json.loads(await client.recv())["id"] == 1
    async with server.http() as http:
        first = json.dumps({"id": 1, "connect": {"token": token}})
        refused = await http.get("/connection/sse", params={"cf_connect": first})
        assert "invalid token" in refused.text
        assert (await http.get("/nowhere", params={"ticket": token})).status_code == 404


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> ServerProcess:
    """The app of the page under ``hubbub run``, used and ended; its log must have no token."""
    folder = tmp_path_factory.mktemp("traced")
    (folder / "main.py").write_text(APP)
    command = [*HUBBUB, "run", "main:app", "--drain", "0"]
    with running(command, folder / "log", BOTH_CONVENTIONS, folder=folder) as server:
        asyncio.run(call_and_stop(server, server.secret(Tokens(KEY).issue("ada"))))
    return server


async def call_and_stop(server: ServerProcess, token: str) -> None:
    await call(server, token)
    async with connect(server.ws(f"/chat/general?token={token}")):
        server.stop()


def test_a_connection_is_one_span_whatever_is_said_on_it_and_until_the_stop(
    traced: ServerProcess,
) -> None:
    found = names(spans_of(traced.log()))
    assert found == {
        "HTTP /chat/{room}": 2,
        "HTTP /connection/websocket": 1,
        "GET /connection/sse": 1,
        "GET": 1,
    }


def test_a_span_has_its_path_and_is_a_part_of_the_callers_trace(traced: ServerProcess) -> None:
    spans = spans_of(traced.log())
    member = next(span for span in spans if span["name"] == "HTTP /chat/{room}" and span["parent_id"])
    assert member["context"]["trace_id"] == f"0x{TRACE}"
    assert member["attributes"]["http.url"] == member["attributes"]["url.path"] == "/chat/general"
    assert member["attributes"]["http.route"] == "/chat/{room}"
    assert [span["attributes"]["url.query"] for span in spans] == [""] * len(spans)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """``hubbub serve`` with the commands of the page; its log must have neither the token nor the key."""
    folder = tmp_path_factory.mktemp("served")
    *settings, start = (line for line in SERVE.splitlines() if not line.startswith("pip "))
    here = Path(sys.executable).parent
    script = "\n".join([f"PATH={shlex.quote(str(here))}:$PATH", *settings, f'exec {start} "$@"'])
    command = ["bash", "-euc", script, "bash", "--drain", "0"]
    given = {"HUBBUB_API_KEY": KEY, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running(command, folder / "log", given, folder=folder) as server:
        yield server


async def test_hubbub_serve_traces_its_http_api_and_no_connection(served: ServerProcess) -> None:
    await call(served, served.secret(Tokens(KEY).issue("ada")))
    async with served.http(headers={"X-API-Key": KEY} | FROM_A_CALLER) as http:
        answer = await http.post("/api/publish", json={"channel": "chat:general", "data": {}})
    assert answer.status_code == httpx.codes.OK
    await eventually(lambda: "POST /api/{method}" in names(spans_of(served.log())))
    spans = spans_of(served.log())
    assert {span["name"].removesuffix(" http send").removesuffix(" http receive") for span in spans} == {
        "POST /api/{method}"
    }
    assert {span["context"]["trace_id"] for span in spans} == {f"0x{TRACE}"}
    assert spans[-1]["attributes"]["http.status_code"] == httpx.codes.OK
