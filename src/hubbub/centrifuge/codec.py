"""What the two encodings have in common: the contract of a codec, and how publications become deltas."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

import msgspec

from hubbub.centrifuge.fossil import create_delta
from hubbub.centrifuge.publishers import publisher_info
from hubbub.centrifuge.requests import NOTHING, Command
from hubbub.centrifuge.results import ChannelPublication, Reply
from hubbub.core.messages import Payload, Publication

MAX_COMMANDS: Final = 4_096
"""Commands that one frame may hold. An SDK connects and subscribes to all its channels in one frame."""


class Codec(ABC):
    """One encoding of the protocol. A codec has no state: all connections share one."""

    __slots__ = ()

    name: ClassVar[str]
    """What ``?cf_protocol=`` and the subprotocol after ``centrifuge-`` call it."""

    binary: ClassVar[bool]
    """Whether its frames are binary."""

    # Frames

    @abstractmethod
    def decode_commands(self, frame: str | bytes) -> list[Command]:
        """The commands of one frame, at least one.

        Raises:
            InvalidMessage: if any part of the frame is malformed, nested too deeply, or one command too many.
        """

    @abstractmethod
    def encode_reply(self, reply: Reply) -> bytes:
        """One message: a reply, a push, or a ping."""

    @abstractmethod
    def join(self, messages: Iterable[bytes]) -> bytes:
        """Put encoded messages together into one frame."""

    def encode_replies(self, replies: Iterable[Reply]) -> bytes:
        """One frame with all of them."""
        return self.join(map(self.encode_reply, replies))

    # Payloads

    @abstractmethod
    def embed(self, payload: Payload) -> msgspec.Raw:
        """A payload as it stands in a message of this encoding."""

    @abstractmethod
    def extract(self, data: msgspec.Raw) -> Payload:
        """The payload of a client's message. JSON text becomes `Json`, in either encoding.

        Raises:
            InvalidMessage: if there is none.
        """

    def extract_optional(self, data: msgspec.Raw) -> Payload | None:
        """The same for a field that may be missing."""
        return self.extract(data) if bytes(data) else None

    @abstractmethod
    def embed_text(self, data: bytes) -> msgspec.Raw:
        """Data of a channel with deltas: a string in JSON, where every such publication's data is one."""

    # Publications, encoded once for all members of a kind

    @abstractmethod
    def encode_publication(self, channel: str, publication: Publication) -> bytes:
        """One push for everybody in the channel who takes no deltas. The hot path."""

    def encode_full(self, channel: str, publication: Publication) -> bytes:
        """One push for those who take deltas, but have nothing yet that one could be based on."""
        return self.encode_push(channel, self._full(publication, self.embed(publication.payload)))

    def encode_delta(self, channel: str, publication: Publication, previous: Publication) -> bytes:
        """One push for those who take deltas and have `previous`; the whole data if that is not longer."""
        base, data = self.embed(previous.payload), self.embed(publication.payload)
        return self.encode_push(channel, self._delta(publication, base, data))

    @abstractmethod
    def encode_push(self, channel: str, publication: ChannelPublication) -> bytes:
        """One push with the publication."""

    def channel_publication(self, publication: Publication) -> ChannelPublication:
        """A publication for a reply's list."""
        return self._with(publication, self.embed(publication.payload))

    def delta_publications(self, publications: Sequence[Publication]) -> list[ChannelPublication]:
        """Publications for the list of a subscriber who takes deltas: the first is whole."""
        embedded = [self.embed(publication.payload) for publication in publications]
        return [
            self._delta(publication, embedded[index - 1], data) if index else self._full(publication, data)
            for index, (publication, data) in enumerate(zip(publications, embedded, strict=True))
        ]

    def _full(self, publication: Publication, data: msgspec.Raw) -> ChannelPublication:
        return self._with(publication, self.embed_text(bytes(data)))

    def _delta(self, publication: Publication, base: msgspec.Raw, data: msgspec.Raw) -> ChannelPublication:
        delta = create_delta(bytes(base), bytes(data), text=not self.binary)
        if delta is None:
            return self._full(publication, data)
        return self._with(publication, self.embed_text(delta), delta=True)

    def _with(
        self, publication: Publication, data: msgspec.Raw, *, delta: bool = False
    ) -> ChannelPublication:
        position = publication.position
        return ChannelPublication(
            data,
            publisher_info(publication),
            position.offset if position else 0,
            publication.tags or {},
            delta,
            milliseconds(publication),
        )


def milliseconds(publication: Publication) -> int:
    """When it was accepted, as the protocol counts."""
    return round(publication.time * 1_000)


def optional(codec: Codec, payload: Payload | None) -> msgspec.Raw:
    """A payload field that may be missing."""
    return NOTHING if payload is None else codec.embed(payload)
