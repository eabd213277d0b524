"""The command line itself: its help, its guesses, and completion in real shells."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from node_sdk import not_run
from server_process import HUBBUB, environment_of

from hubbub.server.cli import main
from hubbub.server.commands.headings import SETTINGS as HEADINGS
from hubbub.server.tables import SETTINGS, option_of

SECONDS = 50.0


def shell(name: str) -> str:
    """The path of a shell; where it is not installed the test says that it was not run."""
    if (path := shutil.which(name)) is None:
        not_run(f"NOT RUN: completion in {name}, which is not installed (scripts/programs)")
    return path


def environment(folder: Path) -> dict[str, str]:
    """Where `hubbub` is found, and no start-up file of anybody's."""
    path = f"{Path(HUBBUB[0]).parent}{os.pathsep}{os.environ['PATH']}"
    return environment_of({"PATH": path, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "TERM": "dumb"})


def run(command: list[str], folder: Path) -> list[str]:
    """The words of what a shell prints."""
    ended = subprocess.run(
        command,
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.split()


def test_bash_completes_commands_and_values(tmp_path: Path) -> None:
    script = 'eval "$(_HUBBUB_COMPLETE=bash_source hubbub)"\n'
    for words in ("hubbub pr", "hubbub bench --protocol c"):
        script += f"COMPREPLY=(); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        script += '_hubbub_completion hubbub; echo "${COMPREPLY[@]}"\n'
    completed = run([shell("bash"), "--norc", "-c", script], tmp_path)
    assert completed == ["presence", "centrifuge"]


def test_fish_completes_commands_and_values(tmp_path: Path) -> None:
    fish = shell("fish")
    for words, expected in {"hubbub pr": "presence", "hubbub bench --protocol c": "centrifuge"}.items():
        script = f"_HUBBUB_COMPLETE=fish_source hubbub | source; complete --do-complete '{words}'"
        assert expected in run([fish, "--no-config", "-c", script], tmp_path)


def test_zsh_completes_a_command_when_tab_is_pressed(tmp_path: Path) -> None:
    process, terminal = _in_a_terminal([shell("zsh"), "-f", "-i"], tmp_path)
    try:
        os.write(terminal, b"autoload -Uz compinit && compinit -u && echo re''ady\n")
        _read_until(terminal, r"ready")
        os.write(terminal, b'eval "$(_HUBBUB_COMPLETE=zsh_source hubbub)" && echo loa""ded\n')
        _read_until(terminal, r"loaded")
        os.write(terminal, b"hubbub pr\t")
        _read_until(terminal, r"hubbub presence")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def _in_a_terminal(command: list[str], folder: Path) -> tuple["subprocess.Popen[bytes]", int]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        env=environment(folder),
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    return process, ours


def _read_until(terminal: int, pattern: str) -> None:
    seen, deadline = "", time.monotonic() + SECONDS
    while not re.search(pattern, re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|.\x08", "", seen)):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no {pattern!r} in {seen!r}"
        seen += os.read(terminal, 4096).decode(errors="replace")


def test_the_start_of_the_help_fits_on_a_screen_and_cuts_nothing_short() -> None:
    for arguments in ([], ["--help"]):
        lines = CliRunner().invoke(main, arguments).output.splitlines()
        assert len(lines) <= 30
        assert not [line for line in lines[1:] if line.endswith("...")]
        assert not [line for line in lines if len(line) > 80]


@pytest.mark.parametrize("command", ["serve", "check"])
def test_every_setting_is_in_the_help_under_one_of_the_headings(command: str) -> None:
    text = CliRunner().invoke(main, [command, "--help"]).output
    shown = {name for name in SETTINGS if re.search(rf"^  {option_of(name)}\b", text, re.MULTILINE)}
    assert shown == set(SETTINGS) - {"rooms"}
    headings = re.findall(r"^(\w.*):$", text, re.MULTILINE)
    assert headings[: len(HEADINGS)] == list(HEADINGS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sevre"], "No such command 'sevre'. Did you mean serve?"),
        (["tokn", "ada"], "Did you mean token?"),
        (["xyzzy"], "No such command 'xyzzy'."),
        (["serve", "--prot", "8000"], "--port"),
        (["pub", "news:a"], "Missing argument 'DATA'"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(arguments: list[str], said: str) -> None:
    answer = CliRunner().invoke(main, arguments)
    assert answer.exit_code == 2
    assert said in answer.output
