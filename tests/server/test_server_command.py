"""The command ``hubbub serve``: what it prints, what it refuses, and how it ends."""

import asyncio
import re
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from polling import eventually
from server_process import HUBBUB, ServerProcess, environment_of, running
from socket_client import closed, heard, opened, rejected

import hubbub
from hubbub.server.cli import main


def hubbub_command(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Exit status and output of a command that ends by itself."""
    ended = subprocess.run(
        [*HUBBUB, *arguments],
        env=environment_of(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    return ended.returncode, ended.stdout.decode()


async def test_the_command_prints_the_pages_to_open_and_each_of_them_opens(served: ServerProcess) -> None:
    def announced() -> list[str]:
        return re.findall(rf"^ +\S.* (http://127\.0\.0\.1:{served.port}/\S*)$", served.log(), re.MULTILINE)

    # The server listens before it says so.
    await eventually(lambda: {f"{served.origin}/", f"{served.origin}/chat"} <= set(announced()))
    assert f"Hubbub {hubbub.__version__}" in served.log()
    async with served.http() as http:
        for page in announced():
            assert (await http.get(page)).status_code == 200, page


def test_it_tells_its_version_and_its_options() -> None:
    assert hubbub_command("--version") == (0, f"hubbub, version {hubbub.__version__}\n")
    for arguments in (["--help"], ["-h"]):
        answer = CliRunner().invoke(main, arguments)
        assert answer.exit_code == 0
        listed = re.findall(r"^  (\w+) +[A-Z]", answer.output, re.MULTILINE)
        assert listed == ["serve", "run", "check", "token", "pub", "sub", "history", "presence", "bench"]
    answer = CliRunner().invoke(main, ["serve", "--help"])
    assert answer.exit_code == 0
    for option in ("--host", "--port", "--broker", "--origin"):
        assert option in answer.output


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["serve", "--port", "x"], 2, "'--port'"),
        (["serve", "--port", "65536"], 2, "'--port'"),
        (["serve", "--port", "-1"], 2, "'--port'"),
        (["serve", "--port"], 2, "'--port'"),
        (["serve", "--prot", "8000"], 2, "--prot"),
        (["serve", "extra"], 2, "extra"),
        (["sever"], 2, "sever"),
        (["serve", "--log-level", "loud"], 2, "'--log-level'"),
        (["serve", "--broker", "nonsense"], 1, "nonsense"),
        (["serve", "--broker", "carrier-pigeon://loft"], 1, "carrier-pigeon"),
        (["serve", "--broker", ""], 1, "Error:"),
        (["serve", "--origin", "app.example.com"], 1, "origin"),
        (["serve", "--origin", "https://app.example.com/path"], 1, "origin"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_cannot_work_is_refused_with_its_name(
    arguments: list[str], status: int, said: str
) -> None:
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == status
    assert said in answer.output
    assert "Error: " in answer.output
    assert isinstance(answer.exception, SystemExit), "an error of its own would be a traceback"


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("HUBBUB_PORT", "x", 2), ("HUBBUB_BROKER", "nonsense", 1), ("HUBBUB_ORIGINS", "app.example.com", 1)],
)
def test_the_environment_is_read_and_checked_like_the_options(name: str, value: str, status: int) -> None:
    answer = CliRunner().invoke(main, ["serve"], env={name: value})
    assert answer.exit_code == status
    assert "Error: " in answer.output
    assert isinstance(answer.exception, SystemExit)


@pytest.mark.parametrize(("arguments", "status"), [(["--port", "x"], 2), (["--broker", "nonsense"], 1)])
def test_the_process_ends_with_the_status_and_without_a_traceback(arguments: list[str], status: int) -> None:
    code, output = hubbub_command("serve", *arguments)
    assert code == status
    assert "Error: " in output
    assert "Traceback" not in output


def test_a_port_in_use_is_said_so() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        code, output = hubbub_command("serve", "--port", str(port))
    assert code not in (0, None)
    assert "in use" in output
    assert str(port) in output
    assert "Traceback" not in output


def test_an_address_that_is_not_ours_is_said_so() -> None:
    given = {"HUBBUB_SECRET": "s" * 32, "HUBBUB_API_KEY": "k" * 32}
    code, output = hubbub_command("serve", "--host", "192.0.2.1", "--port", "8123", environment=given)
    assert code != 0
    assert "Cannot listen on 192.0.2.1" in output
    assert "Traceback" not in output


async def test_origins_of_the_environment_may_connect(tmp_path: Path) -> None:
    allowed = {"HUBBUB_ORIGINS": "https://a.example.com https://b.example.com"}
    with running([*HUBBUB, "serve", "--drain", "0"], tmp_path / "log", allowed, folder=tmp_path) as server:
        for origin in ("https://a.example.com", "https://b.example.com", server.origin):
            async with opened(server, "/chat/x?username=ada", origin=origin):
                pass
        assert await rejected(server, "/chat/x?username=ada", origin="https://c.example.com") == 403


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_within_seconds_with_sockets_open(
    tmp_path: Path, with_signal: signal.Signals
) -> None:
    with running([*HUBBUB, "serve", "--drain", "1"], tmp_path / "log", folder=tmp_path) as server:
        async with (
            opened(server, "/chat/x?username=ada") as ada,
            opened(server, "/ws/room/x") as other,
            opened(server, "/chat/y?username=quiet") as quiet,
        ):
            await heard(ada)
            await heard(other)
            # This one answers nothing any more, not even the close frame.
            quiet.transport.pause_reading()
            stopped = asyncio.create_task(asyncio.to_thread(server.stop, with_signal))
            codes = {(await closed(ada))[1], (await closed(other))[1]}
            await stopped  # which fails when it takes too long
            quiet.transport.abort()
        assert codes <= {1001, 1012}, "told to come back, not cut off"
        assert server.process.returncode in (0, -with_signal)
