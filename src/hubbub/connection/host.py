"""What a connection asks of its hub, and what stands between them for the client of another protocol."""

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

    def within_rate(self, member: C) -> bool:
        """Whether the connection may say one more thing."""
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


class Delegate(Protocol):
    """The client of another protocol, to which rooms are more than what is written: it keeps the books."""

    async def join(self, room: str, since: Position | None = None) -> Joined:
        """Have it in a room, with what it missed. Raises like `Hub.join`."""
        ...

    def leave(self, room: str) -> None:
        """Take it out of a room; nothing happens if it is not in it."""
        ...

    def lost_some(self, room: str, position: Position) -> None:
        """Publications of a room were lost; what comes next follows the position."""
        ...

    def ended(self) -> None:
        """The connection has ended; called once."""
        ...
