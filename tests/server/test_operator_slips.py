"""Slips of an operator's first hour: `check` finds them, and what cannot start says why in a line."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from certificates import make_certificate
from click.testing import CliRunner
from ports import free_port
from server_process import HUBBUB, environment_of

from hubbub.server.app import PARTS
from hubbub.server.assembly import make_hub
from hubbub.server.cli import main
from hubbub.server.settings import RoomTable, Settings

WELL = {
    "HUBBUB_BROKER": "memory://",
    "HUBBUB_SECRET": "test-secret-0123456789-abcdefghijklm",
    "HUBBUB_API_KEY": "test-api-key-0123456789-abcdefghijkl",
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(*options: str, **environment: str) -> list[str]:
    """What ``hubbub check`` says is not well."""
    command = ["check", "--port", str(free_port()), *options]
    answer = CliRunner().invoke(main, command, env={**WELL, **environment})
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.output
    return [line for line in answer.output.splitlines() if not line.startswith("ok")]


def tls(certificate: Path, key: Path) -> tuple[str, ...]:
    return "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)


@pytest.mark.parametrize(
    ("begins", "ends", "level", "said"),
    [
        (-30, -1, "error", "it has expired"),
        (2, 90, "error", "it is not valid yet"),
        (-80, 5, "warn ", "expires in 5 days"),
    ],
)
def test_a_certificate_out_of_its_time_is_found(begins: int, ends: int, level: str, said: str) -> None:
    (line,) = checked(*tls(*make_certificate(Path("tls"), begins, ends)))
    assert line.startswith(f"{level}  tls: ")
    assert said in line


def test_a_certificate_in_its_time_is_well() -> None:
    assert checked(*tls(*make_certificate(Path("tls"), -1, 90))) == []


def test_a_pattern_that_no_room_gets_to_is_found() -> None:
    patterns = ["chat:{rest:path}", "chat:{name}", "news:{topic}", "news:{topic}:{part}", "news:sport"]
    Path("hubbub.toml").write_text("".join(f'[rooms."{one}"]\n' for one in patterns))
    first, second = checked()
    assert first.startswith(
        "error  rooms: chat:{name} counts for no room: all that fit it fit chat:{rest:path}"
    )
    assert second.startswith("error  rooms: news:sport counts for no room: all that fit it fit news:{topic}")


def test_an_origin_with_a_star_in_it_would_fit_no_page() -> None:
    assert checked("--origin", "https://*.example.com") == [
        "error  configuration: --origin: An allowed origin has no '*' in it: name each one"
    ]


def test_a_slip_in_one_of_many_values_is_told_once() -> None:
    (line,) = checked(HUBBUB_API_KEY="a sentence with blanks is many keys")
    assert line.startswith("error  configuration: HUBBUB_API_KEY: A secret needs at least 32 bytes")


def test_a_file_that_an_editor_has_marked_as_utf_8_is_read() -> None:
    Path("hubbub.toml").write_text('personal_room = "me:{id}"\n', encoding="utf-8-sig")
    assert checked() == []


def refused(*options: str, command: Sequence[str] = ("serve",)) -> list[str]:
    """The lines of errors of a server that does not start, and says so without a traceback."""
    ended = subprocess.run(
        [*HUBBUB, *command, "--port", str(free_port()), *options],
        env=environment_of(WELL),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert "Traceback" not in said, said
    assert ended.returncode not in (0, -2), said
    return [line for line in ended.stderr.splitlines() if line.startswith(("Error", "ERROR"))]


@pytest.mark.parametrize("own", ["chat:{room:path}", "chat-typing:{room:path}", "room:{room:path}"])
def test_a_table_may_be_named_as_the_servers_own_rooms_are_and_counts(own: str) -> None:
    settings = Settings(broker="memory://", rooms={own: RoomTable(history_size=7, history_ttl=60)})
    hub = make_hub(settings)
    for part in ("chat", "plain_rooms"):
        PARTS[part](hub, settings)
    options = hub.options(own.replace("{room:path}", "a/b"))
    assert options is not None
    assert options.history is not None
    assert options.history.size == 7


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        ("redis://127.0.0.1:1", "no link to the Redis server at 127.0.0.1:1"),
        ("sqlite:///nowhere/a.db", "The folder "),
    ],
)
def test_a_broker_that_is_not_there_is_told_in_a_line(broker: str, said: str) -> None:
    first, last = refused("--broker", broker)
    assert first.startswith(f"ERROR:    Cannot start: {said}")
    assert last == "ERROR:    Application startup failed. Exiting."


def test_workers_that_cannot_start_end_the_command_with_an_error() -> None:
    lines = refused("--broker", "redis://127.0.0.1:1", "--workers", "2")
    assert lines[0].startswith("ERROR:    Cannot start: no link")
    assert any(line.endswith("failed to start, stopping the parent process.") for line in lines)


def test_a_certificate_that_cannot_be_used_is_told_in_a_line() -> None:
    certificate, key = make_certificate(Path("tls"), -1, 90)
    _, other = make_certificate(Path("other"), -1, 90)
    _, hidden = make_certificate(Path("hidden"), -1, 90, b"a passphrase")
    told = f"Error: {certificate} and {other}: the key is not that of the certificate"
    assert refused(*tls(certificate, other)) == [told]
    (line,) = refused(*tls(certificate, hidden))
    assert "has a passphrase" in line
    Path("main.py").write_text("async def app(scope, receive, send): pass\n")
    assert refused(*tls(certificate, other), command=["run", "main:app"]) == [told]
    (line,) = checked(*tls(key, certificate))
    assert "no certificate in PEM" in line or "not what it should be in PEM" in line
