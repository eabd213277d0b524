"""What publications look like to clients of the protocol: encoded once for all members of a kind.

Members that take deltas of a room need the publication before. Those that have it share one `DeltaFormat`.
Those that came since the last publication share another one, which begins with a whole publication; after
that both groups have the same, and become one.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeAlias
from weakref import WeakValueDictionary

from hubbub.centrifuge.actions import NO_DELTA, DeltaState
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.requests import FilterNode
from hubbub.centrifuge.results import MessagePush, Push, Reply
from hubbub.centrifuge.tag_filters import compile_filter
from hubbub.core.formats import Filtered, Format
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

Reformat: TypeAlias = Callable[[str, Format, Format], None]
"""Gives all members of a room that have the first format the second one."""


class _Format:
    """A format whose clients are told of the beginning and of losses by their session."""

    __slots__ = ("_codec",)

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def personal(self, payload: Payload) -> Payload:
        """A message push: it comes from no channel."""
        push = Push(message=MessagePush(self._codec.embed(payload)))
        return to_frame(self._codec, self._codec.encode_reply(Reply(push=push)))

    def joined(self, room: str, position: Position | None, recovered: bool | None) -> Payload | None:
        return None

    def gap(self, room: str, position: Position) -> Payload | None:
        return None

    def forget(self, position: Position) -> None:
        pass


class PublicationFormat(_Format):
    """A publication push."""

    __slots__ = ()

    def present(self, publication: Publication) -> Payload:
        """The push, with the whole data."""
        return to_frame(self._codec, self._codec.encode_publication(publication.room, publication))


class MessageFormat(_Format):
    """A message push, for what is said to everyone."""

    __slots__ = ()

    def present(self, publication: Publication) -> Payload:
        """The push."""
        return self.personal(publication.payload)


class DeltaFormat(_Format):
    """A publication push with what has changed since the one before; with the whole data if there is none."""

    __slots__ = ("__weakref__", "begun", "newcomers", "previous")

    def __init__(self, codec: Codec, begun: Callable[[], None] | None = None) -> None:
        super().__init__(codec)
        self.previous: Publication | None = None
        self.begun = begun  # called after the first publication
        self.newcomers: DeltaFormat | None = None  # of those that have had no publication yet

    def present(self, publication: Publication) -> Payload:
        """The push; it is the base of the next one."""
        previous, self.previous = self.previous, publication
        if previous is not None:
            return to_frame(self._codec, self._codec.encode_delta(publication.room, publication, previous))
        if self.begun is not None:
            self.begun()
        return to_frame(self._codec, self._codec.encode_full(publication.room, publication))

    def forget(self, position: Position) -> None:
        """An erased publication is the base of nothing: the next one comes whole."""
        if self.previous is not None and self.previous.position == position:
            self.previous = None


class Formats:
    """All formats of one codec.

    Args:
        codec: the codec.
        reformat: changes the format of members.
    """

    __slots__ = ("_codec", "_deltas", "_filters", "_reformat", "_whole", "messages")

    def __init__(self, codec: Codec, reformat: Reformat) -> None:
        self._codec = codec
        self._reformat = reformat
        self._whole = PublicationFormat(codec)
        self.messages = MessageFormat(codec)
        # Kept alive by the rooms' members.
        self._deltas: WeakValueDictionary[str, DeltaFormat] = WeakValueDictionary()
        self._filters: WeakValueDictionary[FilterNode, Filtered] = WeakValueDictionary()

    def of(
        self,
        room: str,
        delta: DeltaState,
        position: Position | None,
        tags_filter: FilterNode | None = None,
    ) -> Format:
        """The format for somebody who enters a room now, when nothing is pending there.

        Args:
            room: its name.
            delta: what the client can be sent.
            position: of the last publication that it has.
            tags_filter: which publications it wants; without deltas.
        """
        if tags_filter is not None:
            return self._filtered(tags_filter)
        if delta is NO_DELTA:
            return self._whole
        settled = self._deltas.get(room)
        if settled is None:
            settled = self._deltas[room] = DeltaFormat(self._codec)
        newest = settled.previous.position if settled.previous is not None else None
        if delta is DeltaState.READY and newest is not None and newest == position:
            return settled
        if settled.newcomers is None:
            newcomers = DeltaFormat(self._codec)
            newcomers.begun = partial(self._begun, room, settled, newcomers)
            settled.newcomers = newcomers
        return settled.newcomers

    def _filtered(self, tags_filter: FilterNode) -> Format:
        """One format for all members with the same filter, in whatever room."""
        format = self._filters.get(tags_filter)
        if format is None:
            fits = compile_filter(tags_filter)
            format = Filtered(self._whole, lambda publication: fits(publication.tags or {}))
            self._filters[tags_filter] = format
        return format

    def _begun(self, room: str, settled: DeltaFormat, newcomers: DeltaFormat) -> None:
        """The newcomers got their first publication: those who come next are others."""
        settled.newcomers = None
        asyncio.get_running_loop().call_soon(self._settle, room, settled, newcomers)

    def _settle(self, room: str, settled: DeltaFormat, newcomers: DeltaFormat) -> None:
        newcomers.begun = None
        self._reformat(room, newcomers, settled)
        settled.previous = newcomers.previous


def to_frame(codec: Codec, data: bytes) -> Payload:
    """Encoded messages as the payload of one WebSocket message: binary or text."""
    return data if codec.binary else data.decode()
