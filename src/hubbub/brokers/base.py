"""The contract of a broker: it orders, stores and carries publications between processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

IDEMPOTENCY_WINDOW = 300.0
"""Seconds for which a publish with the same idempotency key is the same publish."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What a room's history answered.

    One with fewer publications than the limit reaches up to `position`. Offsets need not be consecutive:
    publications that were erased are left out.
    """

    publications: Sequence[Publication]
    position: Position
    """The newest position there was at that moment."""


class Receiver(Protocol):
    """What a broker tells its hub, on the event loop's thread. No method waits or raises."""

    def publication(self, publication: Publication) -> None:
        """A publication of a room subscribed to. Those with a position come without gap, double or swap:
        an offset that is left out is that of one which was erased before it could be delivered."""
        ...

    def passed(self, room: str, position: Position) -> None:
        """The room stands at `position` now: what it led to was erased before it could be delivered."""
        ...

    def interrupted(self, room: str, position: Position) -> None:
        """Publications of the room were lost for good; what comes next follows `position`."""
        ...


class Broker(Protocol):
    """One instance serves one hub. All methods raise `BrokerError` when the operation did not happen.

    Room names are 1 to 300 bytes of ASCII letters, digits and ``_ - : . @ / * #``; a broker that gives some
    of these a meaning encodes them.
    """

    @property
    def shared(self) -> bool:
        """Whether other processes can be there: then their hubs speak to each other through it."""
        ...

    @property
    def immediate(self) -> bool:
        """Whether `publish` never waits: it has accepted, delivered or refused in the same call."""
        ...

    @property
    def connected(self) -> bool:
        """Whether publications would be accepted now, as far as the broker knows."""
        ...

    @property
    def repaired(self) -> int:
        """Publications that its link had lost and the store still had, since the start; 0 without a link."""
        ...

    async def start(self, receiver: Receiver) -> None:
        """Connect and begin to deliver."""
        ...

    async def stop(self) -> None:
        """Disconnect. Nothing is delivered afterwards."""
        ...

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """Deliver the room's publications; returns once none can be missed. Twice is as good as once.

        Returns the position after which everything is delivered; None for a room without history.
        """
        ...

    def unsubscribe(self, room: str) -> None:
        """Nobody here listens to the room any more. What was subscribed to later stays subscribed."""
        ...

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
        """Accept a publication: position and delivery are one atomic step where the room has history.

        With an `idempotency_key` that this room has seen within `IDEMPOTENCY_WINDOW`, nothing is published;
        the answer has the position of the first one.
        """
        ...

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Read a room's history.

        Args:
            room: the room's name.
            history: the room's history options.
            since: only what came after this position; None for all that is kept.
            limit: most publications returned; None for all, 0 for the position alone.
            reverse: newest first. Not together with `since`.

        Raises:
            HistoryGone: if not all that followed `since`, but for what was erased, is kept.
        """
        ...

    async def erase(self, room: str, history: History, position: Position) -> bool:
        """Take one publication out of the room's history. Its offset is not given again, and what stands
        around it is as complete as before. False if it is not kept, or was erased already."""
        ...

    async def remove_history(self, room: str) -> None:
        """Forget the room's publications. Offsets go on: positions before the newest are gone."""
        ...

    async def claim(self, key: str, ttl: float) -> bool:
        """True for the first caller, on any node, within `ttl` seconds; False for all others."""
        ...
