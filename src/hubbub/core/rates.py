"""Token buckets: how often something may happen. Pure; the time is given.

A bucket holds `Rate.burst` tokens at most and gets `Rate.per_second` of them each second. It is kept as one
number, the time at which it will be full again (the generic cell rate algorithm of ITU-T I.371).
"""

from dataclasses import dataclass
from typing import Final

from hubbub.core.errors import ConfigurationError

MOST_BUCKETS: Final = 65_536
"""Buckets that one `Buckets` keeps; the one that was used longest ago goes first."""

_SLACK: Final = 1e-6
"""Seconds that rounding may cost."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something may happen on average, and how often at once.

    Raises:
        ConfigurationError: if a number is not positive.
    """

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if self.per_second <= 0 or self.burst < 1:
            raise ConfigurationError("A rate needs more than 0 per second, and a burst of 1 or more")

    def spend(self, full_at: float, now: float) -> float | None:
        """Take a token of a bucket.

        Args:
            full_at: when the bucket is full.
            now: the time, in seconds.

        Returns:
            when it is full now; None if it has no token.
        """
        later = max(full_at, now) + 1 / self.per_second
        return later if later - now <= self.burst / self.per_second + _SLACK else None


class Buckets:
    """A bucket for each key, like an address or a user. Those that are full again are forgotten.

    Args:
        rate: of each.
        most: kept at the same time.
    """

    __slots__ = ("_full_at", "_most", "_rate", "_sweep_at")

    def __init__(self, rate: Rate, most: int = MOST_BUCKETS) -> None:
        self._rate = rate
        self._most = most
        self._full_at: dict[str, float] = {}  # the one used last is the last
        self._sweep_at = 0.0  # when all that are there now are full again

    def __len__(self) -> int:
        return len(self._full_at)

    def spend(self, key: str, now: float) -> bool:
        """Take a token of the key's bucket; False if it has none."""
        if now >= self._sweep_at:
            self._sweep(now)
        full_at = self._full_at.pop(key, now)
        later = self._rate.spend(full_at, now)
        self._full_at[key] = full_at if later is None else later
        if len(self._full_at) > self._most:
            del self._full_at[next(iter(self._full_at))]
        return later is not None

    def _sweep(self, now: float) -> None:
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        self._sweep_at = now + self._rate.burst / self._rate.per_second


class Debts:
    """Buckets that were not full when a connection ended: the next one from its address takes one over.

    Without this a client that is closed for its rate begins with a full bucket when it connects again. One
    token is always there: it may be a neighbour who comes, and has done nothing.

    Args:
        rate: of the buckets.
        most: kept at the same time; past that, what an address left that has been here longest is forgotten.
    """

    __slots__ = ("_count", "_left", "_most", "_rate", "_sweep_at")

    def __init__(self, rate: Rate, most: int = MOST_BUCKETS) -> None:
        self._rate = rate
        self._most = most
        self._left: dict[str, list[float]] = {}  # when each of the buckets is full, by address
        self._count = 0
        self._sweep_at = 0.0

    def __len__(self) -> int:
        return self._count

    def leave(self, address: str, full_at: float) -> None:
        """A connection of the address ended; its bucket is full at `full_at`."""
        while self._count >= self._most:
            self._count -= len(self._left.pop(next(iter(self._left))))
        self._left.setdefault(address, []).append(full_at)
        self._count += 1

    def take(self, address: str, now: float) -> float:
        """Forget the emptiest bucket of the address; return when it is full, `now` if there is none."""
        if now >= self._sweep_at:
            self._sweep(now)
        left = self._left.get(address)
        if left is None:
            return now
        full_at = max(left)
        left.remove(full_at)
        self._count -= 1
        if not left:
            del self._left[address]
        all_but_one = (self._rate.burst - 1) / self._rate.per_second
        return min(max(full_at, now), now + all_but_one)

    def _sweep(self, now: float) -> None:
        left = {address: [at for at in all_at if at > now] for address, all_at in self._left.items()}
        self._left = {address: all_at for address, all_at in left.items() if all_at}
        self._count = sum(map(len, self._left.values()))
        self._sweep_at = now + self._rate.burst / self._rate.per_second
