"""A broker that is measured: how long a publication takes, and how often it does not do what it is asked."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from hubbub.brokers import Broker, HistoryPage
from hubbub.brokers.base import Receiver
from hubbub.core.errors import BrokerError, HistoryGone
from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position
from hubbub.core.stats import Stats
from hubbub.hub.signals import MARK


class MeasuredBroker:
    """Passes everything on to a broker.

    Args:
        broker: does the work.
        stats: counts it.
    """

    __slots__ = ("_stats", "measured", "waits")

    def __init__(self, broker: Broker, stats: Stats) -> None:
        self.measured: Final = broker
        self._stats = stats
        self.waits: Final = not broker.immediate
        """Whether publishing takes time that is worth being told: without, it is counted and not timed."""

    @property
    def shared(self) -> bool:
        """Whether other processes can be there."""
        return self.measured.shared

    @property
    def immediate(self) -> bool:
        """Whether `publish` never waits."""
        return self.measured.immediate

    @property
    def connected(self) -> bool:
        """Whether publications would be accepted now, as far as the broker knows."""
        return self.measured.connected

    @property
    def repaired(self) -> int:
        """Publications that its link had lost and the store still had."""
        return self.measured.repaired

    async def start(self, receiver: Receiver) -> None:
        """Connect and begin to deliver."""
        with self._errors_counted():
            await self.measured.start(receiver)

    async def stop(self) -> None:
        """Disconnect."""
        await self.measured.stop()

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """Deliver the room's publications."""
        with self._errors_counted():
            return await self.measured.subscribe(room, history)

    def unsubscribe(self, room: str) -> None:
        """Nobody here listens to the room any more."""
        self.measured.unsubscribe(room)

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
        """Have a publication accepted."""
        begin = time.perf_counter()
        try:
            publication = await self.measured.publish(
                room,
                payload,
                history=history,
                publisher=publisher,
                key=key,
                tags=tags,
                idempotency_key=idempotency_key,
            )
        except BrokerError:
            self._stats.broker_errors += 1
            raise
        if self.waits:
            self._stats.publishing.observe(time.perf_counter() - begin)
        if room[:1] != MARK:
            self._stats.published += 1
        return publication

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Read a room's history."""
        with self._errors_counted():
            return await self.measured.history(room, history, since=since, limit=limit, reverse=reverse)

    async def erase(self, room: str, history: History, position: Position) -> bool:
        """Take one publication out of the room's history."""
        with self._errors_counted():
            return await self.measured.erase(room, history, position)

    async def remove_history(self, room: str) -> None:
        """Forget the room's publications."""
        with self._errors_counted():
            await self.measured.remove_history(room)

    async def claim(self, key: str, ttl: float) -> bool:
        """True for the first caller."""
        with self._errors_counted():
            return await self.measured.claim(key, ttl)

    @contextmanager
    def _errors_counted(self) -> Iterator[None]:
        try:
            yield
        except HistoryGone:  # an answer like any other
            raise
        except BrokerError:
            self._stats.broker_errors += 1
            raise
