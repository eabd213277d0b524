"""Servers with an admin page: one process, and two that share a broker."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from admin_client import ADMIN_KEY
from playwright.async_api import expect
from server_process import HUBBUB, ServerProcess, running

expect.set_options(timeout=20_000)  # a deadline for a busy machine; what is expected comes sooner

ROOMS = """
[rooms."news:{topic}"]
history_size = 50
presence = true
allow_subscribe = "anyone"
allow_publish = "anyone"
"""


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[ServerProcess]:
    """``hubbub serve`` with the admin key."""
    config = folder / "hubbub.toml"
    config.write_text(ROOMS)
    variables = {
        "HUBBUB_ADMIN_KEY": ADMIN_KEY,
        "HUBBUB_ANONYMOUS": "true",
        "HUBBUB_DATA": str(folder / "data"),
        "HUBBUB_LOG_LEVEL": "trace",
        "HUBBUB_MESSAGE_RATE": "0",
    }
    command = [*HUBBUB, "serve", "--drain", "0", "--config", str(config)]
    log = folder / f"{secrets.token_hex(4)}.log"
    with running(
        command, log, variables | {f"HUBBUB_{name.upper()}": it for name, it in settings.items()}
    ) as one:
        one.secret(ADMIN_KEY)
        yield one


@pytest.fixture(scope="session")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One process."""
    with serving(tmp_path_factory.mktemp("admin")) as server:
        yield server


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two nodes of one cluster."""
    folder = tmp_path_factory.mktemp("admin-pair")
    broker = f"embedded://{folder}/valkey"
    with serving(folder, broker=broker) as first, serving(folder, broker=broker) as second:
        yield first, second
