"""A broker and the nodes on it, as the tests of a session share them."""

from dataclasses import dataclass

from broker_servers import BrokerServer
from nodes import wait_for_workers
from server_process import ServerProcess

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Cluster:
    """A broker, and ``hubbub run`` with two workers on it."""

    broker: BrokerServer
    server: ServerProcess
    prefix: str
    """Of the names of rooms and publishers: every test has its own."""

    @property
    def ws(self) -> str:
        """What WebSocket URLs begin with."""
        return self.server.ws("")

    @property
    def port(self) -> int:
        """Of the server."""
        return self.server.port

    def rooms(self, count: int) -> list[str]:
        """Names of rooms that no other test uses."""
        return [f"{self.prefix}:{number}" for number in range(count)]

    def whole(self) -> None:
        """Wait until all its workers answer."""
        wait_for_workers(self.server, WORKERS)
