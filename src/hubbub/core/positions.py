"""Where something stands in a room's history."""

import re
from typing import Final, Self

import msgspec

from hubbub.core.errors import InvalidMessage

MAX_EPOCH: Final = 64
"""Longest epoch, in characters."""

_OFFSET: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class Position(msgspec.Struct, frozen=True, order=True):
    """`(epoch, offset)`: offsets count from 1 within an epoch; a new epoch means that the stream began anew.

    Offset 0 is the place before the first publication. Offsets of different epochs cannot be compared.
    """

    epoch: str
    """Names the stream; an empty one stands for the room's present stream, where something is asked for."""

    offset: int
    """Counts its publications."""

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position of a text like ``epoch:7``, as `str` makes it.

        Raises:
            InvalidMessage: if it is none.
        """
        epoch, _, offset = text.rpartition(":")
        if not 0 < len(epoch) <= MAX_EPOCH or not _OFFSET.fullmatch(offset):
            raise InvalidMessage("A position looks like epoch:offset")
        return cls(epoch, int(offset))


BEGINNING: Final = Position("", 0)
"""Before the first publication of a room, whatever its epoch is: who resumes there gets all of it, or hears
that not all of it is kept."""
