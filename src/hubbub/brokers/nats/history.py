"""Reading a room's history exactly as its options bound it, whatever the stream still holds."""

import asyncio
import time
from typing import Final

from hubbub.brokers.base import HistoryPage
from hubbub.brokers.nats.records import Record
from hubbub.brokers.nats.runs import Run, read_run
from hubbub.brokers.nats.store import RoomStore, Tail, TailMoved
from hubbub.core.errors import BrokerError, HistoryGone
from hubbub.core.history import History
from hubbub.core.messages import Publication, payload_bytes
from hubbub.core.positions import Position

TRIES: Final = 5
PAUSE: Final = 0.05
"""Seconds until a history that changed while it was read is read again."""


async def read_history(
    store: RoomStore, room: str, history: History, since: Position | None, limit: int | None, reverse: bool
) -> HistoryPage:
    """A page of the room's history, as `Broker.history` says.

    Raises:
        HistoryGone: if not all that followed `since` is kept.
        BrokerError: if it cannot be read.
    """
    if since is None and limit == 0:
        return HistoryPage([], (await store.tail(room)).position)
    for attempt in range(TRIES):
        last = await store.last(room)
        if last is None:
            return _page(since, limit, reverse, (await store.tail(room)).position, [])
        try:
            found = await _read(store, room, last, since)
        except TailMoved:
            await asyncio.sleep(attempt * PAUSE)
            continue
        kept = bounded(found, history, last[0].position, time.time())
        return _page(since, limit, reverse, last[0].position, kept)
    raise BrokerError("the history changes too fast to be read")


async def _read(store: RoomStore, room: str, last: tuple[Tail, Record], since: Position | None) -> Run:
    """What the stream holds, at least what followed `since`."""
    tail, record = last
    if record.is_marker or since == tail.position:
        return []
    if (
        since is not None
        and since.epoch == record.epoch
        and since.offset >= record.top - len(record.envelopes)
    ):
        return list(record.publications(room))
    return await read_run(store, room, tail, since)


def bounded(run: Run, history: History, position: Position, now: float) -> Run:
    """Those of the newest publications that the options keep.

    Args:
        run: consecutive, up to the newest.
        history: the bounds.
        position: of the newest that there has been.
        now: seconds since the Unix epoch.
    """
    kept: list[Publication | None] = []
    room = history.bytes
    for publication in reversed(run):
        room -= 0 if publication is None else payload_bytes(publication.payload)
        if kept and (room < 0 or len(kept) >= history.size):
            break
        kept.append(publication)
    kept.reverse()
    expired = 0
    for place, publication in enumerate(kept, 1):
        if publication is not None and publication.time >= now - history.ttl:
            break
        expired = place if publication is not None else expired
    return kept[expired:]


def _page(
    since: Position | None,
    limit: int | None,
    reverse: bool,
    position: Position,
    kept: Run,
) -> HistoryPage:
    if since is None:
        return HistoryPage(_publications(kept[::-1] if reverse else kept)[:limit], position)
    if since.epoch != position.epoch or not position.offset - len(kept) <= since.offset <= position.offset:
        raise HistoryGone(f"The history no longer holds all that followed {since}")
    rest = kept[len(kept) - (position.offset - since.offset) :]
    return HistoryPage(_publications(rest)[:limit], position)


def _publications(run: Run) -> list[Publication]:
    return [one for one in run if one is not None]
