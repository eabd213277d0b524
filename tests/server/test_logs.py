"""The log of a server: JSON unless somebody looks, and a line for each connection that has ended."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from polling import eventually
from server_process import HUBBUB, ServerProcess, environment_of, running
from socket_client import heard_until, opened

from hubbub.server.logs import log_config

SERVE = [*HUBBUB, "serve", "--drain", "0"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose log is a file, with the format that it chooses for that."""
    folder = tmp_path_factory.mktemp("logs")
    with running([*SERVE, "--log-level", "debug"], folder / "log", {"HUBBUB_LOG_FORMAT": "auto"}) as server:
        yield server


async def line_about(server: ServerProcess, **wanted: object) -> dict[str, Any]:
    """The line of the log with these values."""

    def find() -> dict[str, Any]:
        lines = (json.loads(line) for line in server.log().splitlines() if line.startswith("{"))
        return next((line for line in lines if line.items() >= wanted.items()), {})

    return await eventually(find, 10)


async def test_every_line_is_json_uvicorns_too(server: ServerProcess) -> None:
    async with server.http() as client:
        await client.get("/health?token=not-for-the-log")
    line = await line_about(server, logger="uvicorn.access")
    assert (line["level"], line["method"], line["status"]) == ("info", "GET", 200)
    assert line["path"] == "/health?token=[redacted]"
    assert line["client"].startswith("127.0.0.1:")
    assert line["time"].endswith("+00:00")
    printed = [one for one in server.log().splitlines() if not one.startswith("{")]
    assert all(one.startswith(("Hubbub ", "  ")) for one in printed), printed


async def test_a_connection_that_has_ended_has_one_line_with_its_figures(server: ServerProcess) -> None:
    async with opened(server, "/ws/room/r?username=ada") as ada:
        await ada.send("hello")
        await heard_until(ada, "[r] ada: hello")
        await ada.close(4000, "bye\n{")
    line = await line_about(server, code=4000)
    assert line["message"].startswith("connection closed: ")
    assert (line["logger"], line["level"]) == ("hubbub.connections", "info")
    assert (line["address"], line["transport"]) == ("127.0.0.1", "websocket")
    assert (line["messages_in"], line["bytes_in"], line["reason"]) == (1, 5, "bye\n{")
    assert line["messages_out"] >= 1
    assert line["bytes_out"] >= len("[r] ada: hello")
    assert 0 <= line["seconds"] < 60
    assert line["id"]
    assert "hello" not in server.log()


async def test_a_client_of_the_protocol_has_one_too_with_its_transport(server: ServerProcess) -> None:
    async with (
        server.http() as client,
        client.stream("POST", "/connection/http_stream", json={"id": 1, "connect": {}}) as answer,
    ):
        await anext(answer.aiter_bytes())
    line = await line_about(server, transport="http_stream")
    assert (line["messages_in"], line["address"]) == (1, "127.0.0.1")


async def test_a_reason_cannot_be_a_line_of_its_own(tmp_path: Path) -> None:
    with running(SERVE, tmp_path / "log") as plain:  # as text, which the tests have otherwise
        async with opened(plain, "/ws/room/r?username=eve") as eve:
            await eve.close(4000, "x\nINFO:     forged")
        await eventually(lambda: "connection closed" in plain.log(), 10)
        assert r"reason='x\nINFO:     forged'" in plain.log()
        assert "\nINFO:     forged" not in plain.log()


def test_at_a_terminal_the_lines_are_for_people() -> None:
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [*HUBBUB, "serve", "--broker", "redis://127.0.0.1:1", "--port", "0"],
        stderr=follower,
        stdout=subprocess.DEVNULL,
        env=environment_of({"HUBBUB_LOG_FORMAT": "auto"}),
    )
    process.wait(50)
    shown = os.read(leader, 65_536).decode()
    os.close(follower)
    os.close(leader)
    assert "Listening on 127.0.0.1" in shown
    assert '{"time"' not in shown


@pytest.mark.parametrize(("form", "json_lines"), [("json", True), ("text", False)])
def test_the_format_can_be_said(form: Any, json_lines: bool) -> None:
    config = log_config(form, "debug", everything=True)
    assert (config["formatters"]["default"]["()"] == "hubbub.server.logs.JsonLines") is json_lines
    assert config["loggers"]["hubbub"]["level"] == "DEBUG"
    assert "root" not in log_config(form, "debug", everything=False)
