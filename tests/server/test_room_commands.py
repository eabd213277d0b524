"""``hubbub pub``, ``sub``, ``history`` and ``presence`` against a running server."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ports import free_port
from redis_servers import redis_server
from server_process import HUBBUB, ServerProcess, environment_of, running
from socket_client import heard, heard_json, opened

from hubbub.server.cli import main

SECRET = "test-secret-0123456789-abcdefghijklm"
KEY = "test-api-key-0123456789-abcdefghijkl"
ROOMS = """
[rooms."news:{name}"]
history_size = 10
history_ttl = "1h"
presence = true
join_leave = true
force_push_join_leave = true

[rooms."silent:{name}"]
"""
GIVEN = {"HUBBUB_SECRET": SECRET, "HUBBUB_API_KEY": KEY}


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[ServerProcess]:
    """A server with the rooms above."""
    file = folder / "hubbub.toml"
    file.write_text(ROOMS)
    command = [*HUBBUB, "serve", "--drain", "0", "--config", str(file), *options]
    with running(command, folder / "log", GIVEN, folder=folder) as server:
        server.secret(SECRET)
        server.secret(KEY)
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for all tests that only ask."""
    with serving(tmp_path_factory.mktemp("rooms")) as server:
        yield server


def hubbub(
    server: ServerProcess, *arguments: str, given: Mapping[str, str] = GIVEN, text: str | None = None
) -> Result:
    """Run a command that talks to the server."""
    environment = {"HUBBUB_URL": server.origin, **given}
    return CliRunner().invoke(main, arguments, text, environment)


def _hear_ctrl_c() -> None:
    """What a shell starts in the background has SIGINT ignored, and so have its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def listening(server: ServerProcess, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """``hubbub sub`` in a process of its own, once it is in the room."""
    process = subprocess.Popen(
        [*HUBBUB, "sub", *arguments, "--url", server.origin],
        env=environment_of(GIVEN),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,
    )
    with process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == f"listening to {arguments[0]}\n"
            yield process
        finally:
            process.kill()


def end_of(listener: "subprocess.Popen[str]") -> tuple[str, str, int]:
    """What it has printed, what it has said besides, and its exit status."""
    status = listener.wait(timeout=20)
    assert listener.stdout is not None
    assert listener.stderr is not None
    return listener.stdout.read(), listener.stderr.read(), status


def test_what_is_published_is_in_the_history_in_order(server: ServerProcess) -> None:
    assert hubbub(server, "pub", "news:a", '{"text": "é"}').output == "news:a: offset 1\n"
    assert hubbub(server, "pub", "news:a", "plain text").output == "news:a: offset 2\n"
    piped = hubbub(server, "pub", "news:a", "-", text="[1, 2]\n\nlast\n")
    assert piped.output == "".join(f"news:a: offset {offset}\n" for offset in (3, 4, 5))
    answer = hubbub(server, "history", "news:a", "--limit", "4")
    assert answer.output == '2\t"plain text"\n3\t[1,2]\n4\t""\n5\t"last"\n'
    assert hubbub(server, "history", "news:a").output.startswith('1\t{"text":"é"}\n')
    assert hubbub(server, "history", "news:empty").output == ""


def test_a_repeated_publish_with_one_key_is_one(server: ServerProcess) -> None:
    for _ in range(2):
        answer = hubbub(server, "pub", "news:once", "x", "--idempotency-key", "k")
        assert answer.output == "news:once: offset 1\n"
    assert hubbub(server, "history", "news:once").output == '1\t"x"\n'


def test_one_publication_is_taken_out_of_the_history(server: ServerProcess) -> None:
    for text in ("one", "two", "three", "four"):
        hubbub(server, "pub", "news:erased", text)
    answer = hubbub(server, "history", "news:erased", "--erase", "2", "--erase", "4")
    assert answer.output == "news:erased: offset 2 erased\nnews:erased: offset 4 erased\n"
    assert hubbub(server, "history", "news:erased").output == '1\t"one"\n3\t"three"\n'
    again = hubbub(server, "history", "news:erased", "--erase", "1", "--erase", "2", "--erase", "9")
    assert again.exit_code == 1
    assert again.output == "news:erased: offset 1 erased\nError: news:erased has nothing at offset 2, 9\n"
    assert hubbub(server, "pub", "news:erased", "five").output == "news:erased: offset 5\n"


def test_a_listener_prints_what_is_published_is_seen_and_ends_after_its_count(server: ServerProcess) -> None:
    with listening(server, "news:live", "--count", "2", "--user", "ada") as listener:
        (line,) = hubbub(server, "presence", "news:live").output.splitlines()
        assert line.startswith("ada\t")
        hubbub(server, "pub", "news:live", '{"n": 1}')
        hubbub(server, "pub", "news:live", "two\nlines")
        assert end_of(listener) == ('{"n":1}\n"two\\nlines"\n', "join ada\n", 0)
    assert hubbub(server, "presence", "news:live").exit_code == 0


def test_ctrl_c_ends_a_listener_calmly(server: ServerProcess) -> None:
    with listening(server, "silent:a") as listener:
        listener.send_signal(signal.SIGINT)
        assert end_of(listener) == ("", "", 0)


def test_a_listener_says_that_the_server_has_ended(tmp_path: Path) -> None:
    with serving(tmp_path) as server, listening(server, "silent:a") as listener:
        server.stop()
        out, err, status = end_of(listener)
        assert (out, status) == ("", 1)
        assert err.startswith("Error: The server ended it: ")


def test_a_server_whose_broker_is_away_is_said_to_be_so(tmp_path: Path) -> None:
    with redis_server("valkey") as valkey, serving(tmp_path, "--broker", valkey.url()) as server:
        assert hubbub(server, "pub", "news:a", "before").exit_code == 0
        valkey.kill()
        answer = hubbub(server, "pub", "news:a", "x")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "the broker did not answer" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pub", "nowhere", "x"], "unknown channel (102)"),
        (["history", "nowhere"], "unknown channel (102)"),
        (["history", "silent:a"], "not available (108)"),
        (["history", "silent:a", "--erase", "1"], "not available (108)"),
        (["presence", "silent:a"], "not available (108)"),
        (["sub", "nowhere"], "unknown channel (102)"),
        (["sub", "a b"], "Invalid room name"),
        (["pub", "news:a", "x", "--api-key", "y" * 32], "refuses the API key"),
        (["pub", "news:a", "x", "--url", "ftp://a"], "looks like https://hub.example.com"),
        (["pub", "news:a", "x", "--url", "http://hub.example.com"], "would send the key in the clear"),
        (["sub", "news:a", "--url", "http://hub.example.com"], "would send the key in the clear"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_what_does_not_work_is_said_without_a_traceback(
    server: ServerProcess, arguments: list[str], said: str
) -> None:
    answer = hubbub(server, *arguments)
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: ")
    assert said in answer.output
    assert isinstance(answer.exception, SystemExit), "an error of its own would be a traceback"


@pytest.mark.parametrize("command", [["pub", "news:a", "x"], ["sub", "news:a"], ["history", "news:a"]])
def test_a_server_that_is_not_there_is_said_so(server: ServerProcess, command: list[str]) -> None:
    answer = hubbub(server, *command, "--url", f"http://127.0.0.1:{free_port()}")
    assert answer.exit_code == 1
    assert "Cannot reach http://127.0.0.1:" in answer.output
    assert isinstance(answer.exception, SystemExit)


def test_without_a_key_or_a_secret_it_says_what_to_give(server: ServerProcess, tmp_path: Path) -> None:
    nothing = {"HUBBUB_BROKER": "memory://"}
    assert "give --api-key or HUBBUB_API_KEY" in hubbub(server, "pub", "news:a", "x", given=nothing).output
    assert "set HUBBUB_SECRET" in hubbub(server, "sub", "news:a", given=nothing).output


def test_a_wrong_secret_is_refused(server: ServerProcess) -> None:
    answer = hubbub(server, "sub", "news:a", given={"HUBBUB_SECRET": "another" * 8})
    assert answer.exit_code == 1
    assert "The server ended it: 3500" in answer.output


async def test_a_backend_publishes_into_a_plain_room(server: ServerProcess) -> None:
    async with opened(server, "/ws/room/tea:green?username=ada") as ada:
        assert await heard(ada) == "A new user joined #tea:green"
        done = await asyncio.to_thread(hubbub, server, "pub", "room:tea:green", '{"kettle":"on"}')
        assert done.exit_code == 0, done.output
        assert await heard_json(ada) == {"kettle": "on"}
