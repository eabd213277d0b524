"""The HTTP client is there only where somebody is asked: nobody else waits for it at the start."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from hubbub.server.app import create_app
from hubbub.server.settings import Settings

create_app(Settings(broker="memory://", secret=("s" * 32,), api_key=("k" * 32,), connect_hook={hook!r}))
print("aiohttp" in sys.modules)
"""


@pytest.mark.parametrize(("hook", "imported"), [(None, "False"), ("http://127.0.0.1:9/connect", "True")])
def test_the_http_client_is_imported_for_hooks_alone(hook: str | None, imported: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(hook=hook)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout.strip(), done.stderr) == (imported, "")
