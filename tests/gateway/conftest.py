"""A server with the gateway, and clients of it."""

from collections.abc import Iterator

import pytest
from api_servers import Cluster, StartNode, cluster, starter
from gateway_sdk import Server
from gateway_servers import StartServer, server_starter


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> StartServer:
    """Starts a server with other times, given in the environment."""
    return server_starter(tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> Iterator[Server]:
    """The server that most tests share. Each test has rooms of its own."""
    with start_server() as one:
        yield one


@pytest.fixture(scope="session")
def start_node(tmp_path_factory: pytest.TempPathFactory) -> StartNode:
    """Starts a server with the API over a broker."""
    return starter(tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def api_server(start_node: StartNode) -> Iterator[Server]:
    """A server with the API that is alone."""
    with start_node("memory://") as one:
        yield one


@pytest.fixture(scope="session")
def api_cluster(start_node: StartNode) -> Iterator[Cluster]:
    """Two nodes with the API."""
    with cluster(start_node) as both:
        yield both
