"""No secret in any log or metric of ``hubbub serve`` at its most talkative, however it was shown."""

import base64
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from polling import eventually
from server_process import HUBBUB, TOKEN, ServerProcess, log_complaints, running
from socket_client import opened
from websockets.exceptions import ConnectionClosed

SECRET = secrets.token_urlsafe(32)
GOOD = {name: secrets.token_urlsafe(32) for name in ("api", "admin", "metrics")}
BAD = {name: secrets.token_urlsafe(32) for name in GOOD}


def token(**claims: object) -> str:
    """One for a connection, or with a channel for a subscription."""
    return jwt.encode({"sub": "ada", "exp": int(time.time()) + 600, **claims}, SECRET, "HS256")


def forged() -> str:
    """The same, signed by somebody else."""
    return jwt.encode({"sub": "eve", "exp": int(time.time()) + 600}, "x" * 40, "HS256")


@pytest.fixture(scope="module", params=["json", "text"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server with all keys, which logs all that it can."""
    given = {
        "HUBBUB_SECRET": SECRET,
        "HUBBUB_LOG_LEVEL": "trace",
        "HUBBUB_LOG_FORMAT": request.param,
        **{f"HUBBUB_{name.upper()}_KEY": key for name, key in GOOD.items()},
    }
    folder: Path = tmp_path_factory.mktemp("secrets")
    with running([*HUBBUB, "serve", "--drain", "0"], folder / "log", given) as server:
        yield server


async def show_tokens(server: ServerProcess, shown: str) -> None:
    """A token in each place where clients put one."""
    connect = {"id": 1, "connect": {"token": shown}}
    for path in (f"/connection/websocket?token={shown}", f"/ws/room/r?username=a&token={shown}"):
        headers = {"Cookie": f"session={shown}", "Authorization": f"Bearer {shown}"}
        async with opened(server, path, additional_headers=headers) as client:
            try:
                await client.send(json.dumps(connect))
                await client.recv()
                await client.send(json.dumps({"id": 2, "subscribe": {"channel": "news:a", "token": shown}}))
                await client.send(json.dumps({"id": 3, "refresh": {"token": shown}}))
                await client.recv()
            except ConnectionClosed:
                pass
    async with server.http() as http:
        for request in (
            http.stream("POST", "/connection/http_stream", json=connect),
            http.stream("GET", "/connection/sse", params={"cf_connect": json.dumps(connect)}),
        ):
            async with request as answer:
                await anext(answer.aiter_bytes(), b"")


async def show_keys(server: ServerProcess, keys: dict[str, str]) -> list[int]:
    """A key at each door, in each way that somebody may try; returns what the right ways were answered."""
    async with server.http() as http:
        for key in keys.values():
            for headers in ({"X-API-Key": key}, {"Authorization": f"apikey {key}"}, {"Cookie": f"key={key}"}):
                await http.post("/api/info", json={}, headers=headers, params={"api_key": keys["api"]})
                await http.get("/admin/api/session", headers=headers, params={"token": key})
                await http.get("/metrics", headers=headers, params={"token": key})
        api = await http.post("/api/info", json={}, headers={"X-API-Key": keys["api"]})
        admin = await http.get("/admin/api/session", headers={"Authorization": f"Bearer {keys['admin']}"})
        metrics = await http.get("/metrics", headers={"Authorization": f"Bearer {keys['metrics']}"})
    return [answer.status_code for answer in (api, admin, metrics)]


async def test_no_log_and_no_metric_has_a_secret(server: ServerProcess) -> None:
    tokens = [token(), token(channel="news:a"), forged(), token(exp=1), "opaque-" + secrets.token_hex(16)]
    for shown in tokens:
        await show_tokens(server, server.secret(shown))
    for key in (SECRET, *GOOD.values(), *BAD.values()):
        server.secret(key)
    assert await show_keys(server, GOOD) == [200, 200, 200]
    assert await show_keys(server, BAD) == [401, 401, 401]
    await eventually(lambda: server.log().count("connection closed") >= 4)
    bearer = {"Authorization": f"Bearer {GOOD['metrics']}"}
    async with server.http(headers=bearer) as http:
        metrics = (await http.get("/metrics")).text
    assert 'hubbub_refusals_total{reason="token"} 0.0' not in metrics, "tokens were refused"
    assert 'hubbub_refusals_total{reason="key"} 0.0' not in metrics, "keys were refused"
    assert log_complaints(metrics, [*tokens, SECRET, *GOOD.values(), *BAD.values()]) == []
    assert len(server.log()) > 5_000, "the log is there to be searched"
    server.check_log()


def test_a_token_that_was_logged_would_be_found() -> None:
    line = f"somebody showed {token()}"
    assert TOKEN.search(line)
    assert log_complaints(line, []) == [f"a token is in the log: {line}"]
    key = base64.urlsafe_b64encode(os.urandom(32)).decode()
    assert len(log_complaints(f"key: {key}", [key])) == 2
    assert log_complaints("nothing", [key]) == []
