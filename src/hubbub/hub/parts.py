"""What the gateway of another protocol gets from the hub, to have clients of its own among the members."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hubbub.brokers import Broker
from hubbub.core.messages import Publication
from hubbub.hub.clock import Clock
from hubbub.hub.connections import Connections
from hubbub.hub.following import Following
from hubbub.hub.memberships import Memberships
from hubbub.hub.nodes import Nodes
from hubbub.hub.reception import Reception
from hubbub.hub.signals import Signals


class Publish(Protocol):
    """Publishes on a hub."""

    async def __call__(
        self,
        room: str,
        message: object,
        *,
        publisher: str | None = None,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Publication:
        """Publish to a room; raises like `Hub.broadcast_to_room`."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running hub."""

    connections: Connections
    """Gets a connection once it is known whose it is: from then on it hears what is said to everyone."""

    memberships: Memberships
    reception: Reception
    clock: Clock
    publish: Publish
    """`Hub.broadcast_to_room` for names that were checked, with publishers that are more than a name."""

    broker: Broker
    following: Following
    signals: Signals
    nodes: Nodes
    """This node among the others. Commands that it handles are heard once all companions have begun."""


class Companion(Protocol):
    """What begins and ends with a hub: see `Hub.companions`."""

    async def begin(self, parts: Parts) -> None:
        """The broker has started; this node is not known to the others yet. Raises `BrokerError`."""
        ...

    async def end(self) -> None:
        """All connections are closed; the broker stops next."""
        ...
