"""What a hub counts while it runs. Everything is a plain number: counting must cost next to nothing."""

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from hubbub.core.errors import (
    BadMessage,
    HubbubError,
    InvalidRoomName,
    LimitReached,
    OriginRefused,
    Overloaded,
    Refused,
    SlowConsumer,
    Unauthorized,
)

PUBLISH_BOUNDS: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds of the buckets of a broker's answer times, in seconds: from memory to a link that hangs."""

_CODES: Final = frozenset(
    {
        *(1000, 1001, 1002, 1003, *range(1005, 1016)),  # the IANA registry of close codes (RFC 6455)
        *(*range(3000, 3015), *range(3500, 3513)),  # those of the Centrifuge protocol
        4401,
    }
)


def close_label(code: int | None) -> str:
    """A close code as one of a bounded set of labels: a client may close with any of thousands.

    None stands for a connection that the hub was told to forget while it was open.
    """
    if code is None:
        return "none"
    if code in _CODES:
        return str(int(code))
    return f"{code // 1000}xxx" if code // 1000 in (3, 4) else "other"


HOOK_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The same for the answers of a backend that is asked, in another process at least."""


class HookOutcome(Enum):
    """What became of a question to a backend, as far as figures tell."""

    OK = "ok"
    """It answered with a result."""

    REFUSED = "refused"
    """It answered with an error, with a disconnect, or that the time is over."""

    TIMEOUT = "timeout"
    """It took too long."""

    UNREACHABLE = "unreachable"
    """There was no connection, or it broke."""

    STATUS = "status"
    """It answered with another HTTP status than 200."""

    INVALID = "invalid"
    """What it answered is no answer to the question, or is too large."""

    BUSY = "busy"
    """It was not asked: too many questions are open."""


class RefusalReason(Enum):
    """Why somebody was refused, as far as figures tell."""

    ORIGIN = "origin"
    """The page's origin is not allowed."""

    TOKEN = "token"
    """No valid token, ticket or session."""

    KEY = "key"
    """No valid key of the API, of the metrics or of another door for operators."""

    PERMISSION = "permission"
    """The client may not do what it asked for."""

    ROOM_NAME = "room_name"
    """The name breaks the rule."""

    LIMIT = "limit"
    """One more than the limits allow."""

    RATE = "rate"
    """Too much in too short a time."""

    CAPACITY = "capacity"
    """There is no place for more clients."""

    MESSAGE = "message"
    """What the client sent cannot be used."""


_REFUSALS: Final[tuple[tuple[type[HubbubError], RefusalReason], ...]] = (
    (Overloaded, RefusalReason.CAPACITY),
    (OriginRefused, RefusalReason.ORIGIN),
    (Unauthorized, RefusalReason.TOKEN),
    (InvalidRoomName, RefusalReason.ROOM_NAME),
    (LimitReached, RefusalReason.LIMIT),
    (Refused, RefusalReason.PERMISSION),
    (SlowConsumer, RefusalReason.LIMIT),
    (BadMessage, RefusalReason.MESSAGE),
)


def refusal_of(error: BaseException) -> RefusalReason | None:
    """The reason that an error stands for; None for one that refuses nobody."""
    return next((reason for kind, reason in _REFUSALS if isinstance(error, kind)), None)


class Tally:
    """Messages, and the bytes that they took."""

    __slots__ = ("bytes", "messages")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0


class Histogram:
    """How often something took how long.

    Args:
        bounds: upper bounds of the buckets, in seconds, growing. What is over the last one counts too.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...] = PUBLISH_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


@dataclass(slots=True)
class Stats:
    """Counters; they only grow. `Hub.figures` has them together with how things stand."""

    opened: int = 0
    """Connections accepted."""

    closed: dict[str, int] = field(default_factory=dict)
    """Connections that have ended, by `close_label`."""

    received: Tally = field(default_factory=Tally)
    """What clients have sent."""

    delivered: int = 0
    """Messages written to members of rooms."""

    delivered_bytes: int = 0
    """What they took."""

    sent: Tally = field(default_factory=Tally)
    """What was sent to one client alone."""

    published: int = 0
    """Publications of this process that the broker has accepted."""

    publishing: Histogram = field(default_factory=Histogram)
    """Seconds until the broker had accepted a publication, those of the hub's own rooms among them. A broker
    that never waits is not timed."""

    dropped: int = 0
    """Messages dropped by a room's `Overflow` policy."""

    slow: int = 0
    """Connections closed because they did not read fast enough."""

    dead: int = 0
    """Connections closed because they did not answer the heartbeat."""

    queued_most: int = 0
    """Most bytes that were seen to wait for one connection: when it ended, or when somebody looked."""

    refused: dict[RefusalReason, int] = field(default_factory=dict)
    """Refusals, by reason."""

    broker_errors: int = 0
    """Calls that the broker did not carry out."""

    interrupted: int = 0
    """Times that a room lost publications for good."""

    hooks: dict[str, int] = field(default_factory=dict)
    """Questions to a backend, by event and `HookOutcome`, like ``connect/ok``."""

    hook_times: Histogram = field(default_factory=lambda: Histogram(HOOK_BOUNDS))
    """Seconds until a backend had answered, or was waited for no longer."""

    def close(self, code: int | None) -> None:
        """Count a connection that has ended."""
        label = close_label(code)
        self.closed[label] = self.closed.get(label, 0) + 1

    def count_hook(self, event: str, outcome: HookOutcome) -> None:
        """Count a question to a backend."""
        label = f"{event}/{outcome.value}"
        self.hooks[label] = self.hooks.get(label, 0) + 1

    def refuse(self, reason: RefusalReason | BaseException) -> None:
        """Count a refusal. An error that refuses nobody is not counted."""
        found = reason if isinstance(reason, RefusalReason) else refusal_of(reason)
        if found is not None:
            self.refused[found] = self.refused.get(found, 0) + 1
