"""From a publication to the room's members: encoded once per codec, written once per tick.

This is the hot path, whose instructions `tests/test_hot_paths.py` counts. What is published to a room during
one turn of the event loop is collected and written to each member in one go at the end of the turn; a single
message waits for nothing.
"""

import asyncio
import logging
from typing import Any

from hubbub.connection import Connection
from hubbub.core.formats import Format
from hubbub.core.messages import Payload, Publication
from hubbub.core.rooms import Group, Kind, Room, Rooms
from hubbub.core.stats import Stats

TICK_BYTES = 262_144
"""Bytes collected in one turn after which publishers are made to wait for its end; half an outbox if less."""

PUBLICATION_BYTES = 128
"""What a publication counts for besides its payload, so that empty ones are bounded too."""

_logger = logging.getLogger("hubbub")


class Fanout:
    """Collects publications per room and writes them to the members.

    `flush_room` must precede every change of a room's membership, so that a publication reaches exactly those
    who were members when it was accepted.
    """

    __slots__ = ("_bytes", "_dirty", "_rooms", "_stats", "_tick_bytes")

    def __init__(self, rooms: Rooms[Connection], stats: Stats, outbox_bytes: int = 2 * TICK_BYTES) -> None:
        self._tick_bytes = min(TICK_BYTES, outbox_bytes // 2)
        self._rooms = rooms
        self._dirty: list[Room[Connection]] = []  # with something pending; perhaps written already
        self._bytes = 0  # collected in this turn
        self._stats = stats

    @property
    def full(self) -> bool:
        """So much was published in this turn that it should end before more is."""
        return self._bytes > self._tick_bytes

    def publication(self, publication: Publication) -> bool:
        """Take a publication, on the event loop's thread; False if its room has no members."""
        room = self._rooms.get(publication.room)
        if room is None:
            return False
        if room.pending is not None:
            room.pending.append(publication)
        else:
            room.pending = [publication]
            if not self._dirty:
                asyncio.get_running_loop().call_soon(self.flush)
            self._dirty.append(room)
        self._bytes += len(publication.payload) + PUBLICATION_BYTES
        return True

    def flush(self) -> None:
        """Write everything that is pending."""
        dirty, self._dirty, self._bytes = self._dirty, [], 0
        for room in dirty:
            try:
                self._write(room)
            except Exception:  # the other rooms have nothing to do with it
                _logger.exception("room %s: what was published could not be written", room.name)

    def flush_room(self, name: str) -> None:
        """Write what is pending in one room, if there is such a room."""
        room = self._rooms.get(name)
        if room is not None:
            self._write(room)

    def _write(self, room: Room[Connection]) -> None:
        publications, room.pending = room.pending, None
        if publications is None:
            return
        room.published += len(publications)
        groups = list(room.groups.values())
        shared = _Shared() if len(groups) > 1 else None
        unfinished: list[tuple[Connection, Any]] = []
        for group in groups:
            items = _encode(room, group, publications, shared)
            if not items:
                continue
            codec = group.kind[1]
            count, size = len(items), codec.size(items)
            members = room.written(group, count, size)
            self._stats.delivered += count * members
            self._stats.delivered_bytes += size * members
            left = codec.deliver(group.line, items)
            if left:
                unfinished += [(one, left[handle]) for one, handle in group.members.items() if handle in left]
        # Only now: a member that cannot take everything moves to another group, which would be written again.
        for member, rest in unfinished:
            member.write_rest(rest)


class _Shared:
    """What the groups of a room have in common, made once for all of them."""

    __slots__ = ("items", "payloads")

    def __init__(self) -> None:
        self.payloads: dict[Format, list[Payload]] = {}
        self.items: dict[Kind, list[Any]] = {}


def _encode(
    room: Room[Connection],
    group: Group[Connection],
    publications: list[Publication],
    shared: _Shared | None,
) -> list[Any]:
    """The items for a group: all that the kind has got, or what a filter chooses of them."""
    items = None if shared is None else shared.items.get(group.whole)
    if items is None:
        format, codec = group.whole
        payloads = None if shared is None else shared.payloads.get(format)
        if payloads is None:
            payloads = list(map(format.present, publications))
        items = codec.encode_all(publications, payloads, room.options.overflow)
        if shared is not None:
            shared.payloads[format], shared.items[group.whole] = payloads, items
    return items if group.filter is None else group.filter.choose(items, publications)
