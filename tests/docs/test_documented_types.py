"""A strict type checker in the user's hands: it knows every public name, and finds the slips."""

import subprocess
import sys
from pathlib import Path

import document_runner
from document_blocks import blocks_of, pages

TYPED_APP = Path(__file__).with_name("typed_app.py")


def complaints(folder: Path, *options: str) -> str:
    """What mypy says of the modules in a folder, which knows nothing of the settings of this checkout."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=cache", *options, "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_an_app_and_the_programs_of_the_documentation_are_typed_strictly(tmp_path: Path) -> None:
    (tmp_path / TYPED_APP.name).write_text(TYPED_APP.read_text())
    for path in pages():
        blocks = blocks_of(path)
        modules = [program.module for program in document_runner.programs_of(blocks)]
        modules += [block.text for block in document_runner.tests_of(blocks)]
        for number, module in enumerate(modules):
            (tmp_path / f"{path.stem.replace('-', '_')}_{number}.py").write_text(module)
    # For the sake of brevity some of them leave out what a function returns.
    assert complaints(tmp_path, "--disable-error-code=no-untyped-def") == ""
