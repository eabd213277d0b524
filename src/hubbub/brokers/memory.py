"""The broker of a single process: everything in memory, delivery in the same call."""

import secrets
import time
from collections import OrderedDict
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
        self._claims: OrderedDict[str, float] = OrderedDict()  # key -> when the claim ends
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
        while self._claims and next(iter(self._claims.values())) <= now:
            self._claims.popitem(last=False)
        if self._claims.get(key, now) > now:
            return False
        if len(self._claims) >= MAX_CLAIMS:
            raise BrokerError("too many open claims")
        self._claims[key] = now + ttl
        self._claims.move_to_end(key)
        return True
