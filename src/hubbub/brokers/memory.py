"""The broker of a single process: everything in memory, delivery in the same call."""

import heapq
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Self

import msgspec

from hubbub.brokers.base import IDEMPOTENCY_WINDOW, HistoryPage, Receiver
from hubbub.core.errors import BrokerError, ConfigurationError
from hubbub.core.history import History, HistoryStore
from hubbub.core.idempotency import RecentKeys
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

MAX_CLAIMS = 100_000
MAX_IDEMPOTENCY_KEYS = 1_000_000


class MemoryBroker:
    """``memory://``. What it keeps ends with the process.

    Args:
        history_bytes: bound on the payload bytes of all rooms' histories together.
        max_rooms: bound on the number of rooms with a history.
        clock: seconds since the Unix epoch.
    """

    def __init__(
        self,
        *,
        history_bytes: int = 67_108_864,
        max_rooms: int = 100_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._histories = HistoryStore(history_bytes, secrets.token_urlsafe(8), max_rooms)
        self._published: RecentKeys[tuple[float, Position | None]] = RecentKeys(
            IDEMPOTENCY_WINDOW, MAX_IDEMPOTENCY_KEYS
        )
        self._claims: set[str] = set()  # the open ones
        self._claim_ends: list[tuple[float, str]] = []  # a heap: when each of them ends
        self._receiver: Receiver | None = None  # None while stopped

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The broker of ``memory://``. Raises `ConfigurationError` if the URL says more."""
        if url.rstrip("/") != "memory:":
            raise ConfigurationError("memory:// takes no host, path or options")
        return cls()

    @property
    def shared(self) -> bool:
        """No other process is there."""
        return False

    @property
    def immediate(self) -> bool:
        """Nobody has to be waited for."""
        return True

    @property
    def connected(self) -> bool:
        """Whether it runs."""
        return self._receiver is not None

    @property
    def repaired(self) -> int:
        """There is no link that could lose anything."""
        return 0

    async def start(self, receiver: Receiver) -> None:
        """Begin to deliver."""
        self._receiver = receiver

    async def stop(self) -> None:
        """Stop delivering; histories stay for a later start."""
        self._receiver = None

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """Nothing to do: every publication is made here."""
        return None if history is None else self._histories.position(room)

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
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Publication:
        """Keep and deliver at once.

        Raises:
            BrokerError: while stopped, or if a million idempotency keys are remembered.
        """
        if self._receiver is None:
            raise BrokerError("the memory broker is stopped")
        now = self._clock()
        publication = Publication(room, payload, now, None, publisher, key, tags)
        if idempotency_key is not None:
            earlier = self._published.get(f"{room} {idempotency_key}", now)
            if earlier is not None:
                return msgspec.structs.replace(publication, time=earlier[0], position=earlier[1])
            self._published.check_room(now)
        if history is not None:
            publication = self._histories.append(publication, history)
            position = publication.position
            if position is not None and position.offset == 1:
                # Nothing new to those who subscribed to an empty room, but the room may have been forgotten.
                self._receiver.interrupted(room, Position(position.epoch, 0))
        if idempotency_key is not None:
            self._published.add(f"{room} {idempotency_key}", (now, publication.position), now)
        self._receiver.publication(publication)
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
        return HistoryPage(log.oldest(limit), log.position)

    async def erase(self, room: str, history: History, position: Position) -> bool:
        """Take one publication out of the room's history."""
        self._histories.expire(room, self._clock() - history.ttl)
        return self._histories.erase(room, position)

    async def remove_history(self, room: str) -> None:
        """Forget the room's publications."""
        self._histories.clear(room)

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
