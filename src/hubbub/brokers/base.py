"""The contract of a broker: it orders, stores and carries publications between processes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

Deliver: TypeAlias = Callable[[Publication], None]
"""What a broker calls, on the event loop's thread, for each publication of a room subscribed to, in order."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """What a room's history answered."""

    publications: Sequence[Publication]
    position: Position
    """The newest position there was at that moment."""


class Broker(Protocol):
    """One instance serves one hub. All methods raise `BrokerError` when the operation did not happen."""

    async def start(self, deliver: Deliver) -> None:
        """Connect and begin to deliver."""
        ...

    async def stop(self) -> None:
        """Disconnect. Nothing is delivered afterwards."""
        ...

    async def subscribe(self, room: str) -> None:
        """Deliver the room's publications; returns once none can be missed. Twice is as good as once."""
        ...

    def unsubscribe(self, room: str) -> None:
        """Nobody here listens to the room any more."""
        ...

    async def publish(
        self,
        room: str,
        payload: Payload,
        *,
        history: History | None = None,
        publisher: str | None = None,
        key: str | None = None,
    ) -> Publication:
        """Accept a publication: position and delivery are one atomic step where the room has history."""
        ...

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Read a room's history.

        Args:
            room: the room's name.
            history: the room's history options.
            since: only what came after this position; None for all that is kept.
            limit: most publications returned; None for all.
            reverse: newest first. Not together with `since`.

        Raises:
            HistoryGone: if not all that followed `since` is kept.
        """
        ...

    async def claim(self, key: str, ttl: float) -> bool:
        """True for the first caller, on any node, within `ttl` seconds; False for all others."""
        ...
