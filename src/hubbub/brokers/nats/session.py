"""All that lives as long as one connection."""

from dataclasses import dataclass
from typing import Self

from hubbub.brokers.nats.link import Link
from hubbub.brokers.nats.options import NatsOptions
from hubbub.brokers.nats.publishing import Writer
from hubbub.brokers.nats.store import RoomStore
from hubbub.brokers.nats.streams import Streams, ensure_streams
from hubbub.brokers.nats.subjects import Subjects


@dataclass(frozen=True, slots=True)
class Session:
    """A connection, and the streams that it was seen to have."""

    link: Link
    streams: Streams
    subjects: Subjects
    store: RoomStore
    writer: Writer

    @classmethod
    async def begin(cls, link: Link, options: NatsOptions, earlier: Self | None) -> Self:
        """Find or make the streams on an open link.

        Raises:
            ConfigurationError: if the server cannot do what is needed.
            BrokerError: if it does not answer.
        """
        streams = await ensure_streams(link, options)
        subjects = Subjects(options.prefix)
        store = RoomStore(
            link, streams.history, subjects, options.replicas, None if earlier is None else earlier.store
        )
        return cls(link, streams, subjects, store, Writer(link, store, streams))

    async def end(self) -> None:
        """Fail what waits, and disconnect."""
        await self.link.close()
        await self.writer.close()
