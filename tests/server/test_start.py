"""The command where only the library is installed."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("missing", ["click", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(tmp_path: Path, missing: str) -> None:
    hidden = f"import sys; sys.modules[{missing!r}] = None; from hubbub.server.start import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", hidden], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        'Error: the command needs more than the library: pip install "hubbub[server]"'
    )
    assert "Traceback" not in ended.stderr


def test_a_command_imports_neither_the_other_commands_nor_what_it_does_not_use(tmp_path: Path) -> None:
    code = """
import sys
from hubbub.server.cli import main
main(["check", "--help"], standalone_mode=False)
from hubbub.server.cli import SECTIONS
commands = [name for names in SECTIONS.values() for name in names]
there = [name for name in commands if f"hubbub.server.commands.{name}" in sys.modules]
print(there, "jwt" in sys.modules)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=True
    )
    assert ended.stdout.splitlines()[-1] == "['check'] False"
