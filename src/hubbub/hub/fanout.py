"""From a publication to the room's members: encoded once per codec, written once per tick.

This is the hot path, guarded by `benchmarks/`. What is published to a room during one turn of the event loop
is collected and written to each member in one go at the end of the turn; a single message waits for nothing.
"""

import asyncio
from typing import Any

from hubbub.connection import Connection
from hubbub.core.formats import Filtered, Format
from hubbub.core.messages import Payload, Publication
from hubbub.core.outbox import Outgoing
from hubbub.core.rooms import Group, Room, Rooms
from hubbub.core.stats import Stats

TICK_BYTES = 262_144
"""Bytes collected in one turn after which publishers are made to wait for its end; half an outbox if less."""

PUBLICATION_BYTES = 128
"""What a publication counts for besides its payload, so that empty ones are bounded too."""


class Fanout:
    """Collects publications per room and writes them to the members.

    `flush_room` must precede every change of a room's membership, so that a publication reaches exactly those
    who were members when it was accepted.
    """

    __slots__ = ("_bytes", "_dirty", "_rooms", "_stats", "_tick_bytes")

    def __init__(self, rooms: Rooms[Connection], stats: Stats, outbox_bytes: int = 2 * TICK_BYTES) -> None:
        self._tick_bytes = min(TICK_BYTES, outbox_bytes // 2)
        self._rooms = rooms
        self._dirty: dict[str, Room[Connection]] = {}  # rooms with something pending
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
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self.flush)
        self._dirty[room.name] = room
        room.pending.append(publication)
        self._bytes += publication.size + PUBLICATION_BYTES
        return True

    def flush(self) -> None:
        """Write everything that is pending."""
        if not self._dirty:
            return
        dirty, self._dirty, self._bytes = self._dirty, {}, 0
        for room in dirty.values():
            self._write(room)

    def flush_room(self, name: str) -> None:
        """Write what is pending in one room, if there is such a room."""
        room = self._rooms.get(name)
        if room is not None:
            self._write(room)

    def _write(self, room: Room[Connection]) -> None:
        publications = room.pending
        if not publications:
            return
        room.pending = []
        room.published += len(publications)
        unfinished: list[tuple[Connection, Any, int]] = []
        presented: dict[Format, list[Payload]] = {}
        encoded: dict[Group, list[Outgoing[Any]]] = {}
        for group, members in list(room.groups.items()):
            format, codec = group
            filter = format if type(format) is Filtered else None
            whole = group if filter is None else (filter.base, codec)
            items = encoded.get(whole)
            if items is None:
                items = encoded[whole] = _encode(room, whole, publications, presented)
            if filter is not None:
                items = filter.choose(items, publications)
                if not items:
                    continue
            batch = codec.join(items)
            size = sum([item.size for item in items])
            room.written(group, len(members), len(items), size)
            self._stats.delivered += len(items) * len(members)
            self._stats.delivered_bytes += size * len(members)
            left = codec.deliver(room.line(group), batch)
            if left:
                unfinished += [
                    (one, batch, left[handle]) for one, handle in members.items() if handle in left
                ]
        # Only now: a member that cannot take everything moves to another group, which would be written again.
        for member, batch, written in unfinished:
            member.write_rest(batch, written)


def _encode(
    room: Room[Connection],
    group: Group,
    publications: list[Publication],
    presented: dict[Format, list[Payload]],
) -> list[Outgoing[Any]]:
    format, codec = group
    payloads = presented.get(format)
    if payloads is None:
        payloads = presented[format] = [format.present(one) for one in publications]
    encode, overflow = codec.encode, room.options.overflow
    return [
        encode(payload, room=room.name, key=one.key, overflow=overflow)
        for payload, one in zip(payloads, publications, strict=True)
    ]
