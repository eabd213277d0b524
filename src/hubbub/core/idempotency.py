"""What was done under which key a short time ago, so that it is not done twice."""

from collections import OrderedDict
from typing import Generic, TypeVar

from hubbub.core.errors import BrokerError

T = TypeVar("T")


class RecentKeys(Generic[T]):
    """Keys and what came of them, each kept for the same time.

    Args:
        window: seconds that a key is kept.
        most: keys kept at the same time.
    """

    __slots__ = ("_entries", "_most", "_window")

    def __init__(self, window: float, most: int) -> None:
        self._window = window
        self._most = most
        self._entries: OrderedDict[str, tuple[float, T]] = OrderedDict()  # oldest first

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str, now: float) -> T | None:
        """What was kept under the key; None if that was never, or too long ago."""
        self._expire(now)
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def check_room(self, now: float) -> None:
        """Raises `BrokerError` if there is no room for another: refusing is safer than forgetting one."""
        self._expire(now)
        if len(self._entries) >= self._most:
            raise BrokerError(f"{self._most:,} idempotency keys are remembered already")

    def add(self, key: str, value: T, now: float) -> None:
        """Keep a value under a key that is not kept; ask `check_room` before the deed."""
        self._entries[key] = (now + self._window, value)

    def _expire(self, now: float) -> None:
        while self._entries:
            key, (ends, _) = next(iter(self._entries.items()))
            if ends > now:
                return
            del self._entries[key]
