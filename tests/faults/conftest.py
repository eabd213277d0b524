"""What the fault tests share: a broker of each kind with two nodes on it, and a way to tell figures."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio
from broker_servers import broker_server
from cluster import WORKERS, Cluster
from figures import Figures
from js_members import node_process
from mixed_crowd import MIXED, Kind
from nodes import nodes


@pytest.fixture(scope="session", params=["redis", "nats"])
def running_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One for all tests of the session: each must leave it as it was."""
    folder = tmp_path_factory.mktemp(request.param)
    with broker_server(request.param, folder) as broker, nodes(broker.url(), folder, WORKERS) as server:
        yield Cluster(broker, server, "")


@pytest.fixture
def cluster(running_cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster with all its workers, and names of the test's own; its log is clean at the end."""
    running_cluster.whole()
    yield replace(running_cluster, prefix=request.function.__name__.removeprefix("test_")[:60])
    running_cluster.server.check_log()


@pytest_asyncio.fixture
async def kinds() -> AsyncIterator[tuple[Kind, ...]]:
    """All kinds of members: envelopes, and the official SDKs for Python and JavaScript."""
    async with node_process() as node:
        yield (*MIXED, node.member)


@pytest.fixture
def figures(record_property: Callable[[str, object], None], request: pytest.FixtureRequest) -> Figures:
    """Print a line of figures (seen with ``-s``), and keep it with the test's result."""

    def tell(line: str) -> None:
        print(f"\n{request.node.name}: {line}")
        record_property("figures", line)

    return tell
