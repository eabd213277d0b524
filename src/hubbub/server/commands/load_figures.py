"""What a load counts: deliveries, each client's share of them, and how long they took."""

import math
from array import array
from collections import Counter, defaultdict
from typing import Final

_STEPS: Final = 24
"""Classes of a histogram to a doubling: a figure is 3 % too long at most."""

_CLASSES: Final = 32 * _STEPS


class Histogram:
    """Times in microseconds. Each is kept as the class that it falls in, so their number does not matter."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _CLASSES))
        self.total = 0

    def add(self, microseconds: float) -> None:
        """Count one."""
        place = int(math.log2(microseconds) * _STEPS) if microseconds > 1 else 0
        self._counts[min(place, _CLASSES - 1)] += 1
        self.total += 1

    def percentile(self, share: float) -> float:
        """The time, in milliseconds, that this share of all did not exceed; 0 where there are none."""
        left = math.ceil(share * self.total)
        for place, count in enumerate(self._counts):
            left -= count
            if count and left <= 0:
                return float(2 ** ((place + 1) / _STEPS) / 1_000)
        return 0.0


class Tally:
    """What the clients of a load have got.

    Args:
        messages: most messages of a room.
    """

    def __init__(self, messages: int) -> None:
        self._messages = messages
        self.sent: Counter[int] = Counter()
        """How many messages were due in a room, by its number."""

        self._unsent: defaultdict[int, set[int]] = defaultdict(set)

        self.deliveries = 0
        self.all = Histogram()
        self.lately = Histogram()
        """Those since somebody last made a new one."""

        self.endings: Counter[str] = Counter()
        """How connections ended before their time."""

        self.refusals: Counter[str] = Counter()
        """What the server said of messages that it did not take."""

        self._seen: dict[int, bytearray] = {}

    def arrived(self, client: int, number: int, microseconds: float) -> None:
        """A client has got the message with this number of its room."""
        seen = self._seen.get(client)
        if seen is None:
            seen = self._seen[client] = bytearray(self._messages)
        if number < len(seen) and seen[number] < 255:
            seen[number] += 1
        self.deliveries += 1
        self.all.add(microseconds)
        self.lately.add(microseconds)

    def not_sent(self, room: int, number: int) -> None:
        """The connection of whoever was to send this message to the room had ended."""
        self._unsent[room].add(number)
        self.refusals["its connection had ended"] += 1

    def missing(self, client: int, room: int) -> int:
        """How many messages of its room a client has not got."""
        sent, unsent = self.sent[room], self._unsent[room]
        seen = self._seen.get(client) or bytearray(sent)
        return seen.count(0, 0, sent) - sum(not seen[number] for number in unsent)

    def doubled(self) -> int:
        """How many deliveries were not the first of that message to that client."""
        return sum(sum(seen) - (len(seen) - seen.count(0)) for seen in self._seen.values())
