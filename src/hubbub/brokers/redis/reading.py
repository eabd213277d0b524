"""What the server's log of a room says, as publications and positions."""

from collections.abc import Iterator
from itertools import dropwhile

from hubbub.brokers import envelope
from hubbub.brokers.base import HistoryPage
from hubbub.brokers.redis.link import Reply
from hubbub.core.errors import BrokerError, HistoryGone
from hubbub.core.messages import Publication
from hubbub.core.positions import Position


def read_position(reply: Reply) -> Position:
    """The newest position: epoch and top come first in what `position` and `read` of `Scripts` answer.

    Raises:
        BrokerError: if the server answered something else.
    """
    match reply:
        case [bytes(epoch), int(top), *_]:
            return Position(epoch.decode("ascii", "replace"), top)
    raise BrokerError("the Redis server's answer cannot be read")


def read_since(room: str, reply: Reply, since: Position, before: float, limit: int | None) -> HistoryPage:
    """The page after `since`, without what was accepted before that time.

    Raises:
        HistoryGone: if the position is of another epoch or from the future, or if not all that followed it
            is here and can be read.
    """
    position = read_position(reply)
    kept = list(dropwhile(lambda one: one is not None and one.time < before, _entries(room, reply)))
    page = [one for one in kept if one is not None]
    offsets = [one.position.offset for one in page if one.position is not None]
    if limit is None or len(page) < limit:  # it goes up to the newest
        offsets.append(position.offset + 1)
    whole = len(page) == len(kept) and _follow(since.offset, offsets, _erased(position.epoch, reply))
    if since.epoch != position.epoch or since.offset > position.offset or not whole:
        raise HistoryGone(f"The history no longer holds all that followed {since}")
    return HistoryPage(page[:limit], position)


def _follow(last: int, offsets: list[int], erased: set[int]) -> bool:
    """Whether nothing but what was erased lies between an offset and those after it."""
    for offset in offsets:
        if any(between not in erased for between in range(last + 1, offset)):
            return False
        last = offset
    return True


def _erased(epoch: str, reply: Reply) -> set[int]:
    """The offsets of that epoch of which the server says that they were erased."""
    match reply:
        case [_, _, _, [*marks]]:
            begin = epoch.encode() + b":"
            return {
                int(mark[len(begin) :])
                for mark in marks
                if isinstance(mark, bytes) and mark.startswith(begin)
            }
    return set()


def read_page(room: str, reply: Reply, before: float) -> HistoryPage:
    """The page without what was accepted before that time, and without what cannot be read."""
    page = [one for one in _entries(room, reply) if one is not None and one.time >= before]
    return HistoryPage(page, read_position(reply))


def _entries(room: str, reply: Reply) -> Iterator[Publication | None]:
    """The entries of the log as they came; None for one that cannot be read."""
    epoch = read_position(reply).epoch
    match reply:
        case [_, _, [*entries], *_]:
            for entry in entries:
                yield _publication(room, epoch, entry)


def _publication(room: str, epoch: str, entry: Reply) -> Publication | None:
    match entry:
        case [bytes(name), [b"e", bytes(data), *_]]:
            offset = int(name.partition(b"-")[0])
            try:
                return envelope.decode(data).publication(room, Position(epoch, offset))
            except BrokerError:
                return None
    return None
