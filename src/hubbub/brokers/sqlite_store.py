"""What the SQLite broker's thread does with its file: many operations in one transaction.

A transaction writes one row: its publications go to the end of a journal, whatever their rooms. That costs a
few pages for any number of rooms. They stay in memory as well until `save` moves them, and what trimming has
left of them, to the tables by room. The journal is read again when the file is opened, and after a
transaction that failed, because what is in memory is then ahead of the file.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from hubbub.brokers import envelope
from hubbub.brokers.sqlite_keys import Claims, Keys
from hubbub.brokers.sqlite_operations import Append, Claim, Erase, Read, Write
from hubbub.brokers.sqlite_rooms import Rooms
from hubbub.brokers.sqlite_schema import Synchronous, connect
from hubbub.core.errors import BrokerError
from hubbub.core.history import History
from hubbub.core.messages import Publication
from hubbub.core.positions import Position

JOURNAL_ENTRIES = 8_192
JOURNAL_BYTES = 8_388_608
"""What waits in the journal at most before it is saved to the tables."""

PROBE_BYTES = 262_144
"""What must fit onto a disk that was full, before it counts as having room again."""

UNUSED_ROOM = 30 * 86_400.0
"""Seconds after which a room without publications is forgotten."""


class JournalEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A publication in the journal; only its idempotency key where the room has no history."""

    room: str
    epoch: str
    offset: int
    time: float
    size: int
    data: bytes
    history: tuple[int, float, int] | None
    idempotency_key: bytes | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[JournalEntry])


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a file may hold."""

    history_bytes: int
    """Payload of all rooms' publications."""

    rooms: int


class Store:
    """The file, for the one thread that makes this object.

    Args:
        path: the file.
        synchronous: what a commit waits for.
        bounds: of the file.

    Raises:
        ConfigurationError: see `sqlite_schema.connect`.
        BrokerError: if the file cannot be read.
    """

    def __init__(self, path: Path, synchronous: Synchronous, bounds: Bounds) -> None:
        self._db = connect(path, synchronous)
        self._bounds = bounds
        self._journaled = 0  # entries
        self._journaled_bytes = 0
        self._entries: list[JournalEntry] = []  # of this transaction
        self._history: History | None = None  # of the last entry, and how it is written
        self._options: tuple[int, float, int] | None = None
        self._swept = 0  # the id of the room after which sweeping goes on
        self._stale = False
        self._most_journaled = min(JOURNAL_BYTES, bounds.history_bytes // 8)
        try:
            self._load()
        except (sqlite3.Error, BrokerError, msgspec.DecodeError, UnicodeError, KeyError) as error:
            self._db.close()
            raise BrokerError(f"the SQLite file {path} cannot be read: {error}") from error

    @property
    def unsaved(self) -> bool:
        """Whether something waits in the journal."""
        return self._journaled > 0

    def write(self, writes: Sequence[Write], now: float) -> None:
        """Do all of them in one transaction, and note their outcomes; all or none is done.

        Raises:
            BrokerError: if it failed: then nothing of it has happened.
        """
        self._transaction(lambda: self._write(writes, now))

    def save(self, now: float) -> None:
        """Move the journal to the tables.

        Raises:
            BrokerError: if it failed; nothing is lost then.
        """
        self._transaction(lambda: self._save(now))

    def sweep(self, now: float) -> bool:
        """One step of dropping what is too old; whether there is more to do now.

        Raises:
            BrokerError: if it failed.
        """
        more = False

        def step() -> None:
            nonlocal more
            keys, claims = self._keys.sweep(now), self._claims.sweep(now)
            swept = self._rooms.sweep(self._swept, now, now - UNUSED_ROOM)
            self._swept = swept or 0
            more = bool(keys or claims or swept is not None)

        self._transaction(step)
        return more

    def probe(self) -> None:
        """See whether the file can be written.

        Raises:
            BrokerError: if it cannot.
        """

        for value in (PROBE_BYTES, 0):
            self._transaction(partial(self._write_probe, value))

    def _write_probe(self, size: int) -> None:
        self._db.execute("REPLACE INTO meta VALUES ('probe', zeroblob(?))", (size,))

    def read(self, read: Read) -> None:
        """Note a page of history, or why there is none, as the outcome."""
        try:
            self._refresh()
            read.outcome = self._rooms.read(read)
        except BrokerError as error:
            read.outcome = error
        except (sqlite3.Error, UnicodeError) as error:
            read.outcome = BrokerError(f"the SQLite file cannot be read: {error}")

    def close(self, now: float) -> None:
        """Save, put everything into the one file, and close it.

        Raises:
            BrokerError: if saving failed; the journal keeps what is not saved for the next start.
        """
        try:
            self.save(now)
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise BrokerError(f"the SQLite file cannot be written: {error}") from error
        finally:
            self._db.close()

    # Transactions

    def _transaction(self, do: Callable[[], None]) -> None:
        try:
            self._refresh()
            self._db.execute("BEGIN IMMEDIATE")
            do()
            self._db.execute("COMMIT")
        except (sqlite3.Error, BrokerError, UnicodeError) as error:
            self._stale = True
            self._roll_back()
            if isinstance(error, BrokerError):
                raise
            raise BrokerError(f"the SQLite file cannot be written: {error}") from error

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # SQLite has rolled back by itself, or the next BEGIN fails and tells

    def _refresh(self) -> None:
        if self._stale:
            self._load()
            self._stale = False

    def _load(self) -> None:
        """Read from the file what is kept in memory."""
        self._rooms, self._keys, self._claims = Rooms(self._db), Keys(self._db), Claims(self._db)
        self._entries = []
        self._journaled = self._journaled_bytes = 0
        for (data,) in self._db.execute("SELECT entries FROM journal ORDER BY id"):
            entries = _decoder.decode(data)
            self._journaled += len(entries)
            self._journaled_bytes += len(data)
            for entry in entries:
                self._replay(entry)

    def _replay(self, entry: JournalEntry) -> None:
        position = None
        if entry.history is not None:
            room = self._rooms.room(entry.room)
            if room.top == 0:
                room.epoch = entry.epoch
            position = Position(entry.epoch, entry.offset)
            if position != Position(room.epoch, room.top + 1):
                raise BrokerError(f"the journal and room {entry.room} do not fit together")
            publication = envelope.decode(entry.data).publication(entry.room, position)
            self._rooms.append(room, publication, entry.size, entry.data, History(*entry.history))
        if entry.idempotency_key is not None:
            self._keys.add(entry.idempotency_key, (entry.time, position))

    # What a transaction does

    def _write(self, writes: Sequence[Write], now: float) -> None:
        keys = [
            one.idempotency_key for one in writes if type(one) is Append and one.idempotency_key is not None
        ]
        if keys:
            self._keys.look_up(keys)
        for one in writes:
            if type(one) is Append:
                self._append(one)
            elif isinstance(one, Claim):
                self._claim(one)
            elif isinstance(one, Erase):
                self._save(now)
                one.outcome = self._rooms.erase(one.room, one.position)
            else:
                self._save(now)
                self._rooms.clear(one.room)
        self._write_journal(now)

    def _claim(self, claim: Claim) -> None:
        try:
            claim.outcome = self._claims.claim(claim.key, claim.time, claim.ttl)
        except BrokerError as error:
            claim.outcome = error

    def _append(self, append: Append) -> None:
        idempotency_key = append.idempotency_key
        if idempotency_key is not None:
            made = self._keys.get(idempotency_key, append.time)
            if made is not None:
                append.outcome, append.fresh = _publication(append, *made), False
                return
            if self._keys.full(append.time):
                append.outcome = BrokerError("too many idempotency keys are remembered already")
                return
        position = None if append.history is None else self._keep(append, append.history)
        if idempotency_key is not None:
            self._keys.add(idempotency_key, (append.time, position))
        if position is None:
            append.outcome, append.fresh = _publication(append, append.time, None), True
            self._entries.append(JournalEntry(append.room, "", 0, append.time, 0, b"", None, idempotency_key))

    def _keep(self, append: Append, history: History) -> Position:
        """Give the publication its position, and keep it."""
        room = self._rooms.room(append.room)
        epoch, offset, time = room.epoch, room.top + 1, append.time
        position = Position(epoch, offset)
        publication = append.outcome = Publication(
            append.room, append.payload, time, position, append.publisher, append.key, append.tags
        )
        append.fresh = True
        self._rooms.append(room, publication, append.size, append.data, history)
        if history is not self._history:
            self._history, self._options = history, (history.size, history.ttl, history.bytes)
        self._entries.append(
            JournalEntry(
                append.room,
                epoch,
                offset,
                time,
                append.size,
                append.data,
                self._options,
                append.idempotency_key,
            )
        )
        return position

    def _write_journal(self, now: float) -> None:
        if not self._entries:
            return
        data = _encoder.encode(self._entries)
        self._journaled += len(self._entries)
        self._journaled_bytes += len(data)
        if self._journaled >= JOURNAL_ENTRIES or self._journaled_bytes >= self._most_journaled:
            self._save(now)
            return
        self._entries = []
        self._db.execute("INSERT INTO journal (entries) VALUES (?)", (data,))

    def _save(self, now: float) -> None:
        self._rooms.save(now)
        self._keys.save()
        self._db.execute("DELETE FROM journal")
        self._entries = []
        self._journaled = self._journaled_bytes = 0
        bounds = self._bounds
        if self._rooms.bytes > bounds.history_bytes:
            self._rooms.shrink(bounds.history_bytes - bounds.history_bytes // 100)
        if self._rooms.count > bounds.rooms:
            self._rooms.forget_least_recent(self._rooms.count - bounds.rooms + bounds.rooms // 100)


def _publication(append: Append, time: float, position: Position | None) -> Publication:
    return Publication(append.room, append.payload, time, position, append.publisher, append.key, append.tags)
