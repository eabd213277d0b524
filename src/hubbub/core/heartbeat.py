"""When to ask whether a client is still there, and when to believe that it is not."""

from dataclasses import dataclass
from enum import Enum

from hubbub.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Times of the heartbeat, in seconds.

    Raises:
        ConfigurationError: if one is not positive.
    """

    interval: float = 25.0
    """Between one ping and the next."""

    timeout: float = 10.0
    """A client that stays silent for so long after a ping is gone."""

    def __post_init__(self) -> None:
        if self.interval <= 0 or self.timeout <= 0:
            raise ConfigurationError("Heartbeat needs a positive interval and timeout")


class Verdict(Enum):
    """What a look at the pulse says."""

    ALIVE = "alive"
    ASK = "ask"
    DEAD = "dead"


class Pulse:
    """When a client is asked next, and since when it owes an answer.

    It is asked every interval, however much it sends itself: the pings also tell it that the server is
    still there. Whatever it sends counts as an answer.
    """

    __slots__ = ("asked", "due")

    def __init__(self, now: float, interval: float) -> None:
        self.asked: float | None = None  # time of the first ping since the client was last heard of
        self.due = now + interval  # time of the next ping

    def beat(self) -> None:
        """Something came from the client."""
        self.asked = None

    def check(self, now: float, heartbeat: Heartbeat) -> tuple[Verdict, float]:
        """What to do now, and when to look again. After `ASK` a ping counts as sent."""
        if self.asked is not None and now >= self.asked + heartbeat.timeout:
            return Verdict.DEAD, now
        verdict = Verdict.ALIVE
        if now >= self.due:
            verdict = Verdict.ASK
            self.due = now + heartbeat.interval
            if self.asked is None:
                self.asked = now
        end = self.due if self.asked is None else min(self.due, self.asked + heartbeat.timeout)
        return verdict, end
