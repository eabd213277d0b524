"""What a hub has counted since it was made."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    """Counters; they only grow."""

    opened: int = 0
    """Connections accepted."""

    delivered: int = 0
    """Messages written to members of rooms."""

    dropped: int = 0
    """Messages dropped by a room's `Overflow` policy."""

    slow: int = 0
    """Connections closed because they did not read fast enough."""

    dead: int = 0
    """Connections closed because they did not answer the heartbeat."""
