"""Checks of the ``sh`` blocks: each line is a command that exists, with options that exist."""

import contextlib
import itertools
import re
import shlex
import tomllib
from collections.abc import Callable

import click
from document_blocks import ROOT
from packaging.requirements import Requirement
from uvicorn.main import main as uvicorn

from hubbub.server import cli

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ASSIGNMENT = re.compile(r"([A-Za-z_]+)=(.*)")
SERVERS = {"uvicorn", "hypercorn", "granian", "daphne"}
TRACING = {"opentelemetry-sdk", "opentelemetry-distro", "opentelemetry-instrumentation-fastapi"}
TRACING_VARIABLES = {
    "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
}
"""Of OpenTelemetry; `test_documented_traces` runs what gives them."""


def check_line(line: str) -> None:
    """Raises `AssertionError` for a command that would not work as it stands."""
    words = shlex.split(line.removeprefix("export "), comments=True)
    while words and (found := ASSIGNMENT.fullmatch(words[0])):
        assert found[1] in variables() | TRACING_VARIABLES, f"nothing reads {found[1]}"
        words.pop(0)
    if words:
        assert words[0] in COMMANDS, f"no check for the command {words[0]}"
        COMMANDS[words[0]](words[1:])


def variables() -> set[str]:
    """The environment variables that the project reads."""
    files = [*ROOT.glob("src/hubbub/**/*.py"), *ROOT.glob("examples/**/*.py"), *ROOT.glob("scripts/*")]
    return {
        name for path in files if path.is_file() for name in re.findall(r"HUBBUB_[A-Z_]+", path.read_text())
    }


def check_make(words: list[str]) -> None:
    text = (ROOT / "Makefile").read_text()
    for word in words:
        if found := ASSIGNMENT.fullmatch(word):
            assert re.search(rf"^{found[1]} \?=", text, re.MULTILINE), f"make takes no {found[1]}"
        else:
            assert re.search(rf"^{word}:", text, re.MULTILINE), f"make has no target {word}"


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    for word in words[1:]:
        wanted = Requirement(word)
        assert wanted.name in {PROJECT["name"], *SERVERS, *TRACING}, f"{wanted.name} is not ours"
        assert wanted.extras <= set(PROJECT["optional-dependencies"]), f"no such extra in {word}"


def check_uvicorn(words: list[str]) -> None:
    check_click(uvicorn, words)


def check_hubbub(words: list[str]) -> None:
    assert isinstance(cli.main, click.Group)
    name, *rest = words
    if name.startswith("-"):
        check_click(cli.main, words)
        return
    command = cli.main.get_command(click.Context(cli.main), name)
    assert command is not None, f"hubbub has no command {name}"
    check_click(command, rest)


def check_instrument(words: list[str]) -> None:
    assert words[0] == "hubbub"
    check_hubbub(words[1:])


def check_click(command: click.Command, words: list[str]) -> None:
    with contextlib.suppress(click.exceptions.Exit):  # --help and --version end here
        command.make_context(command.name, words)


def check_server(words: list[str]) -> None:
    assert words[-1].startswith("main:"), "started by a test of its own: see test_documented_servers"


def check_openssl(words: list[str]) -> None:
    assert words == ["rand", "-base64", "32"]


def check_pytest(words: list[str]) -> None:
    assert not words


def check_docker(words: list[str]) -> None:
    """Docker is started by nobody here: what is held is that the files are there."""
    assert words[0] in ("build", "compose")
    files = [after for word, after in itertools.pairwise(words) if word == "--file"]
    assert files
    assert [name for name in files if not (ROOT / name).is_file()] == []


def check_systemctl(words: list[str]) -> None:
    assert (ROOT / f"deploy/systemd/{words[-1]}.service").is_file()


def check_sysctl(words: list[str]) -> None:
    assert words[0] == "-w"
    for word in words[1:]:
        assert re.fullmatch(r"(net|fs)(\.[a-z0-9_-]+)+=[\d ]+", word), word


def check_ulimit(words: list[str]) -> None:
    assert words[0] == "-n"
    assert int(words[1]) > 0


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "pip": check_pip,
    "uvicorn": check_uvicorn,
    "hypercorn": check_server,
    "granian": check_server,
    "daphne": check_server,
    "hubbub": check_hubbub,
    "opentelemetry-instrument": check_instrument,
    "openssl": check_openssl,
    "pytest": check_pytest,
    "docker": check_docker,
    "systemctl": check_systemctl,
    "sysctl": check_sysctl,
    "ulimit": check_ulimit,
}
