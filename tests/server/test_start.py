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
