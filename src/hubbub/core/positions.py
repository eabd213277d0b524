"""Where something stands in a room's history."""

import msgspec


class Position(msgspec.Struct, frozen=True, order=True):
    """`(epoch, offset)`: offsets count from 1 within an epoch; a new epoch means that the stream began anew.

    Offset 0 is the place before the first publication. Offsets of different epochs cannot be compared.
    """

    epoch: str
    """Names the stream."""

    offset: int
    """Counts its publications."""
