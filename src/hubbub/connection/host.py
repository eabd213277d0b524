"""What a connection asks of its hub."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from hubbub.core.heartbeat import Heartbeat
from hubbub.core.positions import Position
from hubbub.core.stats import Stats, Tally

C = TypeVar("C", contravariant=True)


@dataclass(frozen=True, slots=True)
class Joined:
    """Where a member begins in a room."""

    position: Position | None
    """What the member gets from now on follows it; None for a room without history."""

    recovered: bool | None = None
    """Whether it got all that it had missed; None if it did not ask."""


class Host(Protocol[C]):
    """What a connection asks of its hub."""

    @property
    def heartbeat(self) -> Heartbeat:
        """Times of the heartbeat."""
        ...

    @property
    def stats(self) -> Stats:
        """Counts what all connections do."""
        ...

    def uncredited(self, member: C) -> Tally:
        """What the connection got in the rooms that it is in now."""
        ...

    def now(self) -> float:
        """The loop's time, in seconds."""
        ...

    async def join(self, room: str, member: C, *, since: Position | None = None) -> Joined:
        """Make the connection a member of the room."""
        ...

    def leave(self, room: str, member: C) -> None:
        """Take the connection out of the room."""
        ...

    def rooms_of(self, member: C) -> list[str]:
        """The names of the connection's rooms."""
        ...

    def flush(self) -> None:
        """Write what was published in this tick."""
        ...

    def forget(self, member: C) -> None:
        """The connection has ended."""
        ...

    def regroup(self, member: C) -> None:
        """The connection is written to in another way."""
        ...

    def slow(self, member: C) -> None:
        """The connection's outbox is full."""
        ...

    def dropped(self, count: int) -> None:
        """So many publications were dropped by a room's policy."""
        ...
