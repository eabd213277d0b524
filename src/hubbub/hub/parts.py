"""What the gateway of another protocol gets from the hub, to have clients of its own among the members."""

from dataclasses import dataclass

from hubbub.hub.clock import Clock
from hubbub.hub.connections import Connections
from hubbub.hub.memberships import Memberships
from hubbub.hub.reception import Reception


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running hub."""

    connections: Connections
    """Gets a connection once it is known whose it is: from then on it hears what is said to everyone."""

    memberships: Memberships
    reception: Reception
    clock: Clock
