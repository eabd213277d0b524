"""Servers with an admin page: one process, and two that share a broker."""

from collections.abc import Iterator

import pytest
from admin_servers import serving
from playwright.async_api import expect
from server_process import ServerProcess

expect.set_options(timeout=20_000)  # a deadline for a busy machine; what is expected comes sooner


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
