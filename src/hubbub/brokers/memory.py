"""The broker of a single process: everything in memory, delivery in the same call."""

import heapq
import secrets
import time
from collections.abc import Callable

from hubbub.brokers.base import Deliver, HistoryPage
from hubbub.core.errors import BrokerError
from hubbub.core.history import History, HistoryStore
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

MAX_CLAIMS = 100_000


class MemoryBroker:
    """``memory://``. What it keeps ends with the process.

    Args:
        history_bytes: bound on the payload bytes of all rooms' histories together.
        clock: seconds since the Unix epoch.
    """

    def __init__(self, *, history_bytes: int = 67_108_864, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._histories = HistoryStore(history_bytes, new_epoch=lambda: secrets.token_urlsafe(8))
        self._claims: set[str] = set()  # the open ones
        self._claim_ends: list[tuple[float, str]] = []  # a heap: when each of them ends
        self._deliver: Deliver | None = None  # None while stopped

    async def start(self, deliver: Deliver) -> None:
        """Begin to deliver."""
        self._deliver = deliver

    async def stop(self) -> None:
        """Stop delivering; histories stay for a later start."""
        self._deliver = None

    async def subscribe(self, room: str) -> None:
        """Nothing to do: every publication is made here."""

    def unsubscribe(self, room: str) -> None:
        """Nothing to do: the hub delivers only to rooms that have members."""

    async def publish(
        self,
        room: str,
        payload: Payload,
        *,
        history: History | None = None,
        publisher: str | None = None,
        key: str | None = None,
    ) -> Publication:
        """Keep and deliver at once. Raises `BrokerError` while stopped."""
        if self._deliver is None:
            raise BrokerError("the memory broker is stopped")
        publication = Publication(room, payload, self._clock(), None, publisher, key)
        if history is not None:
            publication = self._histories.append(publication, history)
        self._deliver(publication)
        return publication

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Read a room's history; raises `HistoryGone` if `since` cannot be continued."""
        log = self._histories.expire(room, self._clock() - history.ttl)
        if since is not None:
            return HistoryPage(log.since(since, limit), log.position)
        if reverse:
            return HistoryPage(log.newest(limit), log.position)
        return HistoryPage(log.newest()[::-1][:limit], log.position)

    async def claim(self, key: str, ttl: float) -> bool:
        """True for the first caller within `ttl` seconds.

        Raises:
            BrokerError: if 100,000 claims are open: refusing is safer than forgetting one.
        """
        now = self._clock()
        while self._claim_ends and self._claim_ends[0][0] <= now:
            self._claims.remove(heapq.heappop(self._claim_ends)[1])
        if key in self._claims:
            return False
        if len(self._claims) >= MAX_CLAIMS:
            raise BrokerError("too many open claims")
        self._claims.add(key)
        heapq.heappush(self._claim_ends, (now + ttl, key))
        return True
