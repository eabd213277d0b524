"""What a publication looks like to a kind of client. A codec then makes frames of it."""

import base64
from collections.abc import Callable, Hashable, Mapping
from typing import Literal, Protocol, TypeVar

import msgspec

from hubbub.core.messages import Json, Payload, Publication
from hubbub.core.positions import Position
from hubbub.core.publishers import publisher_name

T = TypeVar("T")


class Format(Hashable, Protocol):
    """How publications are presented. Members with the same format and codec share the bytes."""

    def present(self, publication: Publication) -> Payload:
        """The message that such a client gets for the publication.

        It is asked once for each publication of a room, in their order, while somebody in the room has it.
        """
        ...

    def personal(self, payload: Payload) -> Payload:
        """The message that such a client gets when something is sent to it alone."""
        ...

    def joined(self, room: str, position: Position | None, recovered: bool | None) -> Payload | None:
        """The message with which the room begins for the client, if it gets one.

        Args:
            room: its name.
            position: what comes next follows it; None for a room without history.
            recovered: whether all that followed the client's own position comes now; None if it had none.
        """
        ...

    def gap(self, room: str, position: Position) -> Payload | None:
        """The message for publications that were lost before `position`; None for clients that get none.

        These are closed: they come back, and ask for what there is.
        """
        ...

    def forget(self, position: Position) -> None:
        """Keep nothing of the publication at that position: it was erased."""
        ...


class _PlainFormat:
    """The payload and nothing else, as the tutorial's clients expect it."""

    __slots__ = ()

    def present(self, publication: Publication) -> Payload:
        return publication.payload

    def personal(self, payload: Payload) -> Payload:
        return payload

    def joined(self, room: str, position: Position | None, recovered: bool | None) -> Payload | None:
        return None

    def gap(self, room: str, position: Position) -> Payload | None:
        return None

    def forget(self, position: Position) -> None:
        pass


class _Wrapped(msgspec.Struct, omit_defaults=True):
    """A publication in an envelope."""

    type: Literal["publication"]
    room: str
    data: msgspec.Raw | str
    time: float
    epoch: str | None = None
    offset: int | None = None
    publisher: str | None = None
    tags: Mapping[str, str] | None = None
    encoding: Literal["base64"] | None = None


class _Notice(msgspec.Struct, omit_defaults=True):
    """What an envelope's reader is told besides."""

    type: Literal["joined", "gap"]
    room: str
    epoch: str | None = None
    offset: int | None = None
    recovered: bool | None = None


class _EnvelopeFormat:
    """JSON with the room and the position, for clients that resume::

    {"type": "publication", "room": "r", "data": …, "time": 1.0, "epoch": "e", "offset": 7}
    {"type": "joined", "room": "r", "epoch": "e", "offset": 6, "recovered": true}
    {"type": "gap", "room": "r", "epoch": "e", "offset": 9}

    A text is a JSON string in `data`, what was published as an object is the object, and bytes are a string
    beside ``"encoding": "base64"``. Fields that say nothing are left out.
    """

    __slots__ = ("_encoder",)

    def __init__(self) -> None:
        self._encoder = msgspec.json.Encoder()

    def present(self, publication: Publication) -> Payload:
        payload, position = publication.payload, publication.position
        data: msgspec.Raw | str
        if isinstance(payload, Json):
            data = msgspec.Raw(payload.encode())
        elif isinstance(payload, str):
            data = payload
        else:
            data = base64.b64encode(payload).decode()
        return self._write(
            _Wrapped(
                "publication",
                publication.room,
                data,
                publication.time,
                position.epoch if position else None,
                position.offset if position else None,
                publisher_name(publication.publisher),
                publication.tags,
                "base64" if isinstance(payload, bytes) else None,
            )
        )

    def personal(self, payload: Payload) -> Payload:
        return payload

    def joined(self, room: str, position: Position | None, recovered: bool | None) -> Payload | None:
        epoch, offset = (position.epoch, position.offset) if position else (None, None)
        return self._write(_Notice("joined", room, epoch, offset, recovered))

    def gap(self, room: str, position: Position) -> Payload | None:
        return self._write(_Notice("gap", room, position.epoch, position.offset))

    def forget(self, position: Position) -> None:
        pass

    def _write(self, message: _Wrapped | _Notice) -> Json:
        return Json(self._encoder.encode(message), "utf-8")


class Filtered:
    """Some of the publications, as another format presents them: these are encoded once for all.

    Args:
        base: the other format.
        wants: whether a publication is one of them.
    """

    __slots__ = ("__weakref__", "base", "wants")

    def __init__(self, base: Format, wants: Callable[[Publication], bool]) -> None:
        self.base = base
        self.wants = wants

    def choose(self, items: list[T], publications: list[Publication]) -> list[T]:
        """Those of the items that are made of publications that are wanted."""
        wants = self.wants
        return [item for item, one in zip(items, publications, strict=True) if wants(one)]

    def present(self, publication: Publication) -> Payload:
        """As the other format does."""
        return self.base.present(publication)

    def personal(self, payload: Payload) -> Payload:
        """As the other format does."""
        return self.base.personal(payload)

    def joined(self, room: str, position: Position | None, recovered: bool | None) -> Payload | None:
        """As the other format does."""
        return self.base.joined(room, position, recovered)

    def gap(self, room: str, position: Position) -> Payload | None:
        """As the other format does."""
        return self.base.gap(room, position)

    def forget(self, position: Position) -> None:
        """As the other format does."""
        self.base.forget(position)


PLAIN: Format = _PlainFormat()
ENVELOPE: Format = _EnvelopeFormat()
