"""What publishers and clients write down for the checker. All times are of one clock, in seconds."""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias


class Place(NamedTuple):
    """Where something stands in a room: an offset counts within its epoch."""

    epoch: str
    offset: int


class Outcome(Enum):
    """What a publisher knows of a publish."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """Certainly not published."""

    UNKNOWN = "unknown"
    """An error that leaves it open, or no answer: it may appear once, or never."""


class Published(NamedTuple):
    """One publish, however often it was sent. A publisher waits for the outcome before it sends the next."""

    publisher: str
    sequence: int
    room: str
    started: float
    finished: float
    outcome: Outcome
    places: tuple[Place, ...] = ()
    """The place in each answer that had one."""


class Joined(NamedTuple):
    """The client is in the room."""

    time: float
    place: Place
    recovered: bool | None = None
    """Whether all that was missed follows; None where the client did not ask to resume."""


class Gap(NamedTuple):
    """The client was told that publications are lost for good; what comes next follows that place."""

    time: float
    place: Place


class Received(NamedTuple):
    """A publication came: its place, and the room, publisher and sequence written in its payload."""

    time: float
    place: Place
    room: str
    publisher: str
    sequence: int


Event: TypeAlias = Joined | Gap | Received


@dataclass(slots=True)
class ClientLog:
    """All that happened to one client in one room, in order, across its reconnects."""

    client: str
    room: str
    events: list[Event] = field(default_factory=list)
