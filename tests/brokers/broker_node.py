"""A node as the tests of brokers hold it: a broker, and what it tells."""

from polling import eventually

from hubbub import History, Position, Publication
from hubbub.brokers import Broker

KEEP = History(size=5, ttl=60.0)
"""The history of room "r"."""


class Node:
    """A broker and what it has delivered."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.delivered: list[Publication] = []
        self.interruptions: list[tuple[str, Position]] = []
        self.passes: list[tuple[str, Position]] = []

    def publication(self, publication: Publication) -> None:
        """Called by the broker."""
        self.delivered.append(publication)

    def passed(self, room: str, position: Position) -> None:
        """Called by the broker."""
        self.passes.append((room, position))

    def interrupted(self, room: str, position: Position) -> None:
        """Called by the broker."""
        self.interruptions.append((room, position))

    async def payloads(self, count: int) -> list[str | bytes]:
        """The payloads delivered, once there are so many."""
        await eventually(lambda: len(self.delivered) >= count)
        return [one.payload for one in self.delivered]

    async def fill(self, *payloads: str, history: History = KEEP) -> list[Publication]:
        """Publish to room "r"."""
        return [await self.broker.publish("r", payload, history=history) for payload in payloads]

    async def erase(self, publication: Publication) -> bool:
        """Erase a publication of room "r"."""
        return await self.broker.erase("r", KEEP, position_of(publication))

    async def read(
        self, since: Position | None = None, limit: int | None = None, reverse: bool = False
    ) -> list[str | bytes]:
        """The payloads that the history of room "r" answers with."""
        page = await self.broker.history("r", KEEP, since=since, limit=limit, reverse=reverse)
        return [one.payload for one in page.publications]


def position_of(publication: Publication) -> Position:
    """Where a publication stands that must have a position."""
    assert publication.position is not None
    return publication.position
