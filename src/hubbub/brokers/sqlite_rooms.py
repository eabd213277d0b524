"""Rooms of the SQLite broker: what is in the tables, and what waits in memory and journal to get there."""

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hubbub.brokers import envelope
from hubbub.brokers.base import HistoryPage
from hubbub.brokers.sqlite_operations import Read
from hubbub.core.errors import BrokerError, HistoryGone
from hubbub.core.history import History
from hubbub.core.messages import Publication
from hubbub.core.positions import Position

ERASED = b""
"""What the table has in place of an erased publication's envelope: its row stays, so that no gap is seen."""

PASSED_AT_ONCE = 64
"""Further rows read at once, at least, when erased ones left a page short."""

ROWS_AT_ONCE = 50
"""Rows that one INSERT writes. SQLite lets go of Python's lock for each statement, not for each row."""

MAX_CACHED = 20_000
"""Rooms whose numbers stay in memory after they were saved."""

SWEPT_ROOMS = 500
SWEPT_PUBLICATIONS = 1_000
"""How much one step of sweeping looks at, so that nobody waits long for it."""

_Row: TypeAlias = tuple[int, int, float, int, bytes]

_COLUMNS = "id, name, epoch, top, first, mark, first_mark, written, expires"
_INSERT = "INSERT INTO publications (room, position, time, mark, data) VALUES "

_logger = logging.getLogger("hubbub")


@dataclass(slots=True)
class Room:
    """A room's numbers. Offsets `first` to `saved` are in the table, those after up to `top` in `recent`."""

    id: int
    name: str
    epoch: str
    top: int = 0
    first: int = 1
    mark: int = 0  # bytes of payload that the room has ever taken
    first_mark: int = 0  # the same before `first`
    written: float = 0.0
    expires: float = 0.0
    saved: int = 0
    history: History | None = None  # the options of the newest publication
    recent: list[tuple[Publication, int, bytes]] = field(default_factory=list)
    """What is not in the table: publication, mark and envelope."""

    @property
    def position(self) -> Position:
        """The position of the newest publication there has been."""
        return Position(self.epoch, self.top)


class Rooms:
    """All rooms of a file. Those with something that is not saved are always in memory.

    Args:
        connection: of this thread. Whoever calls begins and ends the transactions.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._rooms: dict[str, Room] = {}
        self._unsaved: dict[str, Room] = {}
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        self._epoch: str = meta["epoch"]
        self._forgotten: int = meta["forgotten"]
        self.count, self.bytes = connection.execute(
            "SELECT count(*), coalesce(sum(mark - first_mark), 0) FROM rooms"
        ).fetchone()

    def room(self, name: str) -> Room:
        """The room of that name. One that was never written to is kept only once it is."""
        room = self._rooms.get(name)
        if room is not None:
            return room
        row = self._db.execute(f"SELECT {_COLUMNS} FROM rooms WHERE name = ?", (name,)).fetchone()
        if row is None:
            return Room(0, name, f"{self._epoch}.{self._forgotten}")
        if len(self._rooms) >= MAX_CACHED:
            self._rooms = dict(self._unsaved)
        room = self._rooms[name] = Room(*row)
        room.saved = room.top
        return room

    def append(self, room: Room, publication: Publication, size: int, data: bytes, history: History) -> None:
        """Take the room's next publication."""
        if not room.recent:
            self._rooms[room.name] = self._unsaved[room.name] = room
        room.recent.append((publication, room.mark, data))
        room.top += 1
        room.mark += size
        room.written = publication.time
        room.expires = publication.time + history.ttl
        room.history = history

    # Reading

    def read(self, read: Read) -> HistoryPage:
        """A page of a room's history.

        Raises:
            HistoryGone: if not all that followed `since` is kept, or the file is damaged there.
            BrokerError: if the file is damaged, and nothing is to be resumed.
        """
        room = self.room(read.room)
        first, _ = self.oldest(room, read.history, read.time)
        top, since = room.top, read.since
        limit = top if read.limit is None else read.limit
        if since is not None:
            if since.epoch != room.epoch or not first - 1 <= since.offset <= top:
                raise HistoryGone(f"The history no longer holds all that followed {since}")
            try:
                return HistoryPage(self._first(room, since.offset + 1, limit), room.position)
            except BrokerError as error:  # who asks again would never get any further
                _logger.error("room %s cannot be resumed from %s: %s", room.name, since, error)
                raise HistoryGone(str(error)) from error
        if read.reverse:
            return HistoryPage(self._last(room, first, limit), room.position)
        return HistoryPage(self._first(room, first, limit), room.position)

    def oldest(self, room: Room, history: History, now: float) -> tuple[int, int]:
        """Offset and mark of the oldest publication that `history` lets the room keep; past the end if none.

        The newest is kept even if it alone is larger than all bytes.
        """
        low = max(room.first, room.top - history.size + 1)
        since, mark = now - history.ttl, room.mark - history.bytes
        if low <= room.saved:
            row = self._db.execute(
                "SELECT position, mark FROM publications WHERE room = ? AND position BETWEEN ? AND ? "
                "AND time >= ? AND (mark >= ? OR position = ?) ORDER BY position LIMIT 1",
                (room.id, low, room.saved, since, mark, room.top),
            ).fetchone()
            if row is not None:
                return row[0], row[1]
        start = max(low - room.saved - 1, 0)
        for number in range(start, len(room.recent)):
            publication, before, _ = room.recent[number]
            offset = room.saved + 1 + number
            if publication.time >= since and (before >= mark or offset == room.top):
                return offset, before
        return room.top + 1, room.mark

    def _first(self, room: Room, first: int, limit: int) -> list[Publication]:
        """The first so many from that offset on, without what was erased."""
        found: list[Publication] = []
        wanted = limit
        while wanted > 0 and first <= room.top:
            found += self._between(room, first, min(room.top, first + wanted - 1))
            first += wanted
            wanted = _wanted(limit, found)
        return found[:limit]

    def _last(self, room: Room, first: int, limit: int) -> list[Publication]:
        """The last so many down to that offset, newest first, without what was erased."""
        found: list[Publication] = []
        last, wanted = room.top, limit
        while wanted > 0 and last >= first:
            found += self._between(room, max(first, last - wanted + 1), last)[::-1]
            last -= wanted
            wanted = _wanted(limit, found)
        return found[:limit]

    def _between(self, room: Room, first: int, last: int) -> list[Publication]:
        found: list[Publication] = []
        if first <= min(last, room.saved):
            rows = self._db.execute(
                "SELECT position, data FROM publications WHERE room = ? AND position BETWEEN ? AND ? "
                "ORDER BY position",
                (room.id, first, min(last, room.saved)),
            ).fetchall()
            if len(rows) != min(last, room.saved) - first + 1:
                raise BrokerError(f"the SQLite file is damaged: publications of room {room.name} are missing")
            for offset, data in rows:
                if data != ERASED:
                    position = Position(room.epoch, offset)
                    found.append(envelope.decode(data).publication(room.name, position))
        begin = max(first - room.saved - 1, 0)
        found += [one for one, _, _ in room.recent[begin : max(last - room.saved, 0)]]
        return found

    # Saving

    def save(self, now: float) -> None:
        """Write to the tables what is not there, and trim the rooms that were written to."""
        rows: list[_Row] = []
        for room in self._unsaved.values():
            rows += self._save_room(room, now)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            values = [value for row in some for value in row]
            self._db.execute(_INSERT + ",".join(["(?,?,?,?,?)"] * len(some)), values)
        self._unsaved.clear()

    def erase(self, name: str, position: Position) -> bool:
        """Take one publication out; its row stays. False if it is not there. Ask `save` first."""
        room = self.room(name)
        if room.epoch != position.epoch:
            return False
        erased = self._db.execute(
            "UPDATE publications SET data = ? WHERE room = ? AND position = ? AND data != ?",
            (ERASED, room.id, position.offset, ERASED),
        )
        return erased.rowcount > 0

    def clear(self, name: str) -> None:
        """Forget a room's publications; its offsets go on. Ask `save` first."""
        room = self.room(name)
        if room.id:
            self._drop(room, room.top + 1, room.mark)

    def shrink(self, most: int) -> None:
        """Keep at most so many bytes of payload: rooms written to least recently lose their oldest first.

        Ask `save` first. The publication that is the newest of all stays.
        """
        while self.bytes > most:
            names = self._names("mark > first_mark ORDER BY written LIMIT 16")
            for number, name in enumerate(names, 1):
                is_newest = number == len(names) < 16
                room = self.room(name)
                self._drop(room, *self._offset_at(room, room.first_mark + self.bytes - most, is_newest))
                if self.bytes <= most or is_newest:
                    return

    def forget_least_recent(self, count: int) -> None:
        """Forget so many rooms with all they have. Ask `save` first."""
        for name in self._names(f"true ORDER BY written LIMIT {count}"):
            self._forget(self.room(name))

    def sweep(self, after: int, expired: float, unused: float) -> int | None:
        """Look at the next rooms by id: drop publications that are too old, and forget unused rooms.

        Args:
            after: the id to go on after; 0 begins a round.
            expired: publications are dropped if the newest of their room ended before.
            unused: rooms without publications are forgotten if they were last written to before.

        Returns:
            The id to go on after; None at the end of the round.
        """
        last: int | None = self._db.execute(
            f"SELECT max(id) FROM (SELECT id FROM rooms WHERE id > ? ORDER BY id LIMIT {SWEPT_ROOMS})",
            (after,),
        ).fetchone()[0]
        if last is None:
            return None
        for name in self._names(
            "id > ? AND id <= ? AND expires <= ? AND (first <= top OR written <= ?)",
            (after, last, expired, unused),
        ):
            room = self.room(name)
            if not room.recent and not self._sweep_room(room, unused):
                return room.id - 1
        return last

    def _sweep_room(self, room: Room, unused: float) -> bool:
        """Whether the room is done."""
        end = room.first + SWEPT_PUBLICATIONS
        if end <= room.top:
            row = self._db.execute(
                "SELECT mark FROM publications WHERE room = ? AND position = ?", (room.id, end)
            ).fetchone()
            if row is not None:
                self._drop(room, end, row[0])
                return False
        self._drop(room, room.top + 1, room.mark)
        if room.written <= unused:
            self._forget(room)
        return True

    def _save_room(self, room: Room, now: float) -> list[_Row]:
        if room.id == 0:
            self._insert(room)
        assert room.history is not None
        first, first_mark = self.oldest(room, room.history, now)
        self.bytes += room.mark - room.recent[0][1]
        rows = [
            (room.id, offset, publication.time, mark, data)
            for offset, (publication, mark, data) in enumerate(room.recent, room.saved + 1)
            if offset >= first
        ]
        self._drop(room, first, first_mark)
        room.saved, room.recent = room.top, []
        return rows

    def _insert(self, room: Room) -> None:
        row = self._db.execute(
            "INSERT INTO rooms (name, epoch, top, first, mark, first_mark, written, expires) "
            "VALUES (?, ?, 0, 1, 0, 0, 0, 0)",
            (room.name, room.epoch),
        )
        assert row.lastrowid is not None
        room.id = row.lastrowid
        self.count += 1

    def _drop(self, room: Room, first: int, first_mark: int) -> None:
        """Let the room begin there, and write its numbers."""
        if room.first < first and room.first <= room.saved:
            self._db.execute(
                "DELETE FROM publications WHERE room = ? AND position BETWEEN ? AND ?",
                (room.id, room.first, first - 1),
            )
        self.bytes -= first_mark - room.first_mark
        room.first, room.first_mark = first, first_mark
        self._db.execute(
            "UPDATE rooms SET top = ?, first = ?, mark = ?, first_mark = ?, written = ?, expires = ? "
            "WHERE id = ?",
            (room.top, first, room.mark, first_mark, room.written, room.expires, room.id),
        )

    def _offset_at(self, room: Room, mark: int, keep_newest: bool) -> tuple[int, int]:
        """Offset and mark of the first publication that has at least that mark."""
        row: tuple[int, int] | None = self._db.execute(
            "SELECT position, mark FROM publications WHERE room = ? AND position >= ? "
            "AND (mark >= ? OR (? AND position = ?)) ORDER BY position LIMIT 1",
            (room.id, room.first, mark, keep_newest, room.top),
        ).fetchone()
        return row or (room.top + 1, room.mark)

    def _forget(self, room: Room) -> None:
        """A room that comes back has a new epoch, so that no position ever lies."""
        self._drop(room, room.top + 1, room.mark)
        self._db.execute("DELETE FROM rooms WHERE id = ?", (room.id,))
        self._rooms.pop(room.name, None)
        self.count -= 1
        self._forgotten += 1
        self._db.execute("UPDATE meta SET value = ? WHERE name = 'forgotten'", (self._forgotten,))

    def _names(self, condition: str, values: Sequence[object] = ()) -> list[str]:
        return [row[0] for row in self._db.execute(f"SELECT name FROM rooms WHERE {condition}", values)]


def _wanted(limit: int, found: Sequence[Publication]) -> int:
    """How many rows to read next, when so many are there already."""
    missing = limit - len(found)
    return max(missing, PASSED_AT_ONCE) if missing > 0 else 0
