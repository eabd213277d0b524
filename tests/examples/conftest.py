"""The tutorial's app on stock uvicorn, at its most talkative; what it logs is checked at the end."""

import secrets
from collections.abc import Iterator

import pytest
from credentials import Mint
from server_process import UVICORN, ServerProcess, running

SECRET = secrets.token_urlsafe(32)
API_KEY = secrets.token_urlsafe(32)


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """``uvicorn examples.tutorial.app:app``; fails at the end for a traceback or a secret in the log."""
    environment = {
        "HUBBUB_SECRET": SECRET,
        "HUBBUB_API_KEY": API_KEY,
        "HUBBUB_PING_INTERVAL": "0.4",
        "HUBBUB_PING_TIMEOUT": "2",
    }
    command = [*UVICORN, "examples.tutorial.app:app", "--log-level", "trace"]
    with running(command, tmp_path_factory.mktemp("tutorial") / "log", environment) as server:
        server.secret(SECRET)
        server.secret(API_KEY)
        yield server


@pytest.fixture(scope="session")
def secret() -> str:
    """What the app signs tokens with."""
    return SECRET


@pytest.fixture(scope="session")
def api_key() -> str:
    """What opens ``POST /admin/broadcast``."""
    return API_KEY


@pytest.fixture
def mint(tutorial: ServerProcess, secret: str) -> Mint:
    """Makes credentials for the app."""
    return Mint(tutorial, secret)
