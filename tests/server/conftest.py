"""``hubbub serve`` in a process of its own; what it logs is checked at the end."""

from collections.abc import Iterator

import pytest
from server_process import HUBBUB, ServerProcess, running


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server as the command starts it; fails at the end for a traceback in the log."""
    command = [*HUBBUB, "serve", "--log-level", "trace", "--drain", "0"]
    folder = tmp_path_factory.mktemp("served")
    with running(command, folder / "log", folder=folder) as server:
        yield server
