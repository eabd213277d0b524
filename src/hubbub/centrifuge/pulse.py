"""The heartbeat of the protocol: an empty message, answered by an empty command."""

from enum import Enum

from hubbub.core.heartbeat import Heartbeat


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two times; None stands for never."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


class Beat(Enum):
    """What the time brings."""

    NOTHING = "nothing"
    PING = "ping"
    DEAD = "dead"


class PingPong:
    """When the client is pinged next, and until when it owes the pong. Only a pong answers a ping.

    Args:
        heartbeat: its times.
        now: seconds.
        spread: 0 to 1: the first ping comes after half an interval and this part of the other half, so that
            clients that came together are not pinged together.
    """

    __slots__ = ("_heartbeat", "_owed", "due")

    def __init__(self, heartbeat: Heartbeat, now: float, spread: float) -> None:
        self._heartbeat = heartbeat
        self._owed: float | None = None  # until when the pong has to be here; None when none is owed
        self.due = now + heartbeat.interval * (1 + spread) / 2

    @property
    def next_look(self) -> float:
        """When to look again."""
        return self.due if self._owed is None else min(self.due, self._owed)

    def look(self, now: float, *, deaf: bool) -> Beat:
        """What to do now. After `PING` one counts as sent.

        Args:
            now: seconds.
            deaf: nothing is read from the client at the moment: its pong may wait outside.
        """
        if self._owed is not None and now >= self._owed:
            if not deaf:
                return Beat.DEAD
            self._owed = now + self._heartbeat.timeout
        if now < self.due:
            return Beat.NOTHING
        self.due = now + self._heartbeat.interval
        if self._owed is None:
            self._owed = now + self._heartbeat.timeout
        return Beat.PING

    def pong(self) -> bool:
        """The client answered; False if it owed nothing."""
        owed = self._owed is not None
        self._owed = None
        return owed
