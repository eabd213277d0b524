"""Which nodes live: each renews a lease by announcing itself."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final, TypeAlias

import msgspec

from hubbub.core import signal_codec
from hubbub.core.signal_codec import MAX_ID, Count, Id

INTERVAL: Final = 2.0
"""Seconds between two announcements of a node."""

LEASE: Final = 6.0
"""Seconds after which a node that is not heard is lost."""

ECHO_GAP: Final = 4.0
"""Seconds for which a node may miss its own announcements before it doubts its link, not the others."""

MAX_NODES: Final = 1_000
"""Nodes known at the same time; more are ignored."""

MAX_COMMAND_BYTES: Final = 1_048_576
"""Largest payload of a command."""

MAX_BYTES: Final = MAX_COMMAND_BYTES + 4_096


class Alive(msgspec.Struct, frozen=True, array_like=True, tag="alive"):
    """A node announces itself."""

    node: Id
    sequence: Count
    """Counts the node's announcements."""

    name: Annotated[str, msgspec.Meta(max_length=MAX_ID)]
    started: float
    """Seconds since the Unix epoch."""

    connections: Count
    rooms: Count


class Goodbye(msgspec.Struct, frozen=True, array_like=True, tag="goodbye"):
    """A node stops. Its id is not used again."""

    node: Id


class Command(msgspec.Struct, frozen=True, array_like=True, tag="command"):
    """What other parts of the hub tell their likes on other nodes."""

    node: Id
    """Who says it."""

    kind: Annotated[str, msgspec.Meta(max_length=64)]
    payload: Annotated[bytes, msgspec.Meta(max_length=MAX_COMMAND_BYTES)]
    to: Id | None = None
    """For whom it is; None for all."""


NodeMessage: TypeAlias = Alive | Goodbye | Command

_decoder: msgspec.msgpack.Decoder[NodeMessage] = msgspec.msgpack.Decoder(NodeMessage)


def read(data: bytes) -> NodeMessage | None:
    """Read a message of the control room; None for what is none."""
    return signal_codec.decode(data, _decoder, MAX_BYTES)


@dataclass(frozen=True, slots=True)
class Node:
    """A process that runs a hub, as it said of itself last."""

    id: str
    name: str
    started: float
    """When the hub started, in seconds since the Unix epoch."""

    connections: int
    rooms: int


class Contact(Enum):
    """What it means that a node was heard."""

    KNOWN = "known"
    NEW = "new"
    """It was not known, or had been lost."""

    IGNORED = "ignored"
    """It had said goodbye, or there are too many nodes."""


@dataclass(slots=True)
class _Lease:
    ends: float
    alive: Alive | None = None  # None until it has announced itself


class NodeTable:
    """The other nodes and their leases. Times are seconds of whatever clock the caller uses.

    Leases run out only while this node hears itself: if it does not, its link or the process itself has
    stood still, which says nothing about the others. When it hears itself again, all leases begin anew.

    Args:
        own: this node's id.
    """

    __slots__ = ("_departed", "_echo", "_leases", "_own")

    def __init__(self, own: str) -> None:
        self._own = own
        self._echo: float | None = None  # when this node heard itself last; None while the link is down
        self._leases: dict[str, _Lease] = {}
        self._departed: OrderedDict[str, None] = OrderedDict()  # who said goodbye, the oldest first

    def __contains__(self, node: str) -> bool:
        return node in self._leases

    @property
    def ids(self) -> list[str]:
        """The other nodes that live."""
        return list(self._leases)

    def nodes(self) -> list[Node]:
        """The other nodes that live and have announced themselves, in the order they came."""
        announced = (lease.alive for lease in self._leases.values() if lease.alive is not None)
        return [Node(one.node, one.name, one.started, one.connections, one.rooms) for one in announced]

    def heard(self, alive: Alive, now: float) -> Contact:
        """A node announced itself."""
        if alive.node == self._own:
            self._heard_itself(now)
            return Contact.KNOWN
        lease = self._leases.get(alive.node)
        if lease is not None and lease.alive is not None and alive.sequence <= lease.alive.sequence:
            return Contact.KNOWN  # an old one, late: it proves nothing
        contact = self.seen(alive.node, now)
        if contact is not Contact.IGNORED:
            self._leases[alive.node].alive = alive
        return contact

    def seen(self, node: str, now: float) -> Contact:
        """Something else was heard of a node, which proves as well that it lives."""
        if node == self._own:
            return Contact.KNOWN
        lease = self._leases.get(node)
        if lease is not None:
            lease.ends = now + LEASE
            return Contact.KNOWN
        if node in self._departed or len(self._leases) >= MAX_NODES - 1:
            return Contact.IGNORED
        self._leases[node] = _Lease(now + LEASE)
        return Contact.NEW

    def departed(self, node: str) -> bool:
        """A node said goodbye; whether it was known. What is still heard of it is ignored."""
        if node == self._own:
            return False
        self._departed[node] = None
        if len(self._departed) > MAX_NODES:
            self._departed.popitem(last=False)
        return self._leases.pop(node, None) is not None

    def expire(self, now: float) -> list[str]:
        """Forget the nodes whose lease has run out, and name them."""
        if self._echo is None or now - self._echo > ECHO_GAP:
            return []
        lost = [node for node, lease in self._leases.items() if lease.ends <= now]
        for node in lost:
            del self._leases[node]
        return lost

    def link_down(self) -> None:
        """The link to the broker is down: no lease runs out until this node hears itself again."""
        self._echo = None

    def _heard_itself(self, now: float) -> None:
        if self._echo is None or now - self._echo > ECHO_GAP:
            for lease in self._leases.values():
                lease.ends = now + LEASE
        self._echo = now
