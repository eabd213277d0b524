"""Figures of a hub, of a room and of a connection, as they stood at one moment."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec


class Distribution(msgspec.Struct, frozen=True):
    """How often something took how long."""

    buckets: tuple[tuple[float, int], ...]
    """Upper bounds in seconds, growing, and how many took so long but longer than the bound before."""

    longer: int
    """How many took longer than the last bound."""

    sum: float
    """Seconds of all together."""

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(count for _, count in self.buckets) + self.longer


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one hub. Counters begin with the hub and only grow; the others say how things stand."""

    time: float
    """When this was, in seconds since the Unix epoch."""

    connections: int
    """Connections now."""

    rooms: int
    """Rooms that have members here now."""

    members: int
    """Memberships now: a connection counts once for each of its rooms."""

    opened: int
    """Counter: connections accepted."""

    closed: Mapping[str, int]
    """Counter: connections that have ended, by close code. What is no usual code is ``3xxx``, ``4xxx`` or
    ``other``, and ``none`` was forgotten while it was open."""

    messages_in: int
    """Counter: messages of clients."""

    bytes_in: int
    """Counter: bytes of their payload."""

    publications: int
    """Counter: publications of this process that the broker has accepted."""

    deliveries: int
    """Counter: publications written to members of rooms, one for each member."""

    messages_out: int
    """Counter: `deliveries`, and messages to one client alone."""

    bytes_out: int
    """Counter: bytes of all that, as encoded for the clients."""

    queued_bytes: int
    """Bytes that wait for clients now, in outboxes and in the server."""

    queued_most: int
    """Most bytes that have ever waited in one connection's outbox."""

    dropped: int
    """Counter: messages dropped by a room's `Overflow` policy."""

    slow: int
    """Counter: connections closed because they did not read fast enough."""

    dead: int
    """Counter: connections closed because they did not answer the heartbeat."""

    refused: Mapping[str, int]
    """Counter: refusals by reason, with those reasons that have occurred. `RefusalReason` has them all."""

    broker_connected: bool
    """Whether publications would be accepted now, as far as the broker knows."""

    broker_errors: int
    """Counter: calls that the broker did not carry out."""

    repaired: int
    """Counter: publications that the link to the broker had lost and the store still had."""

    interrupted: int
    """Counter: times that a room lost publications for good."""

    publishing: Distribution
    """Counter: seconds until the broker had accepted a publication."""

    hooks: Mapping[str, int]
    """Counter: questions of `hubbub serve` to a backend, by event and `HookOutcome`, like ``connect/ok``."""

    hook_times: Distribution
    """Counter: seconds until the backend had answered, or was waited for no longer."""

    loop_lag: float
    """Seconds by which the event loop was late when it was last looked at."""

    loop_lag_most: float
    """The largest of the last ten seconds."""


class ConnectionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one connection."""

    opened_at: float
    """When it came, in seconds since the Unix epoch."""

    messages_in: int
    """Messages that it has sent."""

    bytes_in: int
    """Bytes of their payload."""

    messages_out: int
    """Messages written to it."""

    bytes_out: int
    """Bytes of them, as encoded for it."""

    queued_bytes: int
    """Bytes that wait for it now."""

    queued_most: int
    """Most bytes that have ever waited in its outbox."""


class RoomFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one room on this node. They begin when its first member comes, and end with its last one."""

    name: str
    members: int
    """Members now."""

    publications: int
    """Publications written to its members since the first one came. Two looks give the rate."""

    deliveries: int
    """The same, one for each member that they were written to."""

    bytes_out: int
    """Bytes of these, as encoded for the members."""


PRESENT: Final = (
    *("connections", "rooms", "members", "queued_bytes", "queued_most"),
    *("broker_connected", "loop_lag", "loop_lag_most"),
)
"""The fields of `Figures` that say how things stand: all others but the time are counters."""

_LARGEST: Final = frozenset({"time", "queued_most", "loop_lag", "loop_lag_most"})


def without_present(figures: Figures) -> Figures:
    """What is left of a process that has ended: its counters."""
    return msgspec.structs.replace(figures, **{name: type(getattr(figures, name))() for name in PRESENT})


def together(figures: Sequence[Figures]) -> Figures:
    """Several processes as one: sums, of lags and high-water marks the largest.

    The broker is connected if it is for all. A room counts in each process that has members of it.
    """
    fields = (field.name for field in msgspec.structs.fields(Figures))
    return Figures(**{name: _together(name, [getattr(one, name) for one in figures]) for name in fields})


def _together(name: str, values: Sequence[Any]) -> Any:
    if name in _LARGEST:
        return max(values)
    if name == "broker_connected":
        return all(values)
    if isinstance(values[0], Distribution):
        bounds = [bound for bound, _ in values[0].buckets]
        counts = [sum(column) for column in zip(*(_counts(one) for one in values), strict=True)]
        buckets = tuple(zip(bounds, counts, strict=True))
        return Distribution(buckets, sum(one.longer for one in values), sum(one.sum for one in values))
    if isinstance(values[0], Mapping):
        total: Counter[str] = Counter()
        for one in values:
            total.update(one)
        return dict(total)
    return sum(values)


def _counts(distribution: Distribution) -> list[int]:
    return [count for _, count in distribution.buckets]
