"""Idempotency keys and claims of the SQLite broker."""

import sqlite3
from collections.abc import Iterable
from typing import TypeAlias

from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.core.errors import BrokerError
from hubbub.core.positions import Position

MAX_KEYS = 1_000_000
MAX_CLAIMS = 1_000_000

SWEPT = 1_000
"""Rows that one step of sweeping looks at."""

_INSERT = "INSERT OR REPLACE INTO keys (key, time, epoch, position) VALUES "

Made: TypeAlias = tuple[float, Position | None]
"""When a publication was made, and its position."""


class Keys:
    """What was published under which idempotency key. New ones wait in memory and journal to be saved."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._new: dict[bytes, Made] = {}
        self._found: dict[bytes, Made] = {}  # what the table has of the keys of this transaction
        self._saved: int = connection.execute("SELECT count(*) FROM keys").fetchone()[0]

    def look_up(self, keys: Iterable[bytes]) -> None:
        """Find these keys in the table at once, for `get`."""
        self._found = {}
        missing = [key for key in keys if key not in self._new]
        for start in range(0, len(missing) if self._saved else 0, 100):
            some = missing[start : start + 100]
            marks = ",".join("?" * len(some))
            for key, time, epoch, offset in self._db.execute(
                f"SELECT key, time, epoch, position FROM keys WHERE key IN ({marks})", some
            ):
                self._found[key] = (time, None if epoch is None else Position(epoch, offset))

    def get(self, key: bytes, now: float) -> Made | None:
        """What was published under a key that was looked up, within the window."""
        made = self._new.get(key) or self._found.get(key)
        return made if made is not None and made[0] + IDEMPOTENCY_WINDOW > now else None

    def add(self, key: bytes, made: Made) -> None:
        """Remember a key for the window; ask `full` before the deed."""
        self._new[key] = made

    def full(self, now: float) -> bool:
        """Whether as many are remembered as may be: refusing is safer than forgetting one."""
        if len(self._new) + self._saved < MAX_KEYS:
            return False
        while self.sweep(now):
            pass
        self._saved = self._db.execute("SELECT count(*) FROM keys").fetchone()[0]
        return len(self._new) + self._saved >= MAX_KEYS

    def save(self) -> None:
        """Write the new keys to the table; one that is over makes way for its successor."""
        rows = [
            (key, time, position and position.epoch, position and position.offset)
            for key, (time, position) in self._new.items()
        ]
        for start in range(0, len(rows), 100):
            some = rows[start : start + 100]
            values = [value for row in some for value in row]
            self._db.execute(_INSERT + ",".join(["(?,?,?,?)"] * len(some)), values)
        self._saved += len(rows)
        self._found.update(self._new)
        self._new.clear()

    def sweep(self, now: float) -> int:
        """Forget some that are over; how many. The oldest have the lowest ids."""
        gone = self._db.execute(
            "DELETE FROM keys WHERE id IN (SELECT id FROM keys ORDER BY id LIMIT ?) AND time <= ?",
            (SWEPT, now - IDEMPOTENCY_WINDOW),
        ).rowcount
        self._saved -= gone
        return gone


class Claims:
    """Who came first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._count: int = connection.execute("SELECT count(*) FROM claims").fetchone()[0]

    def claim(self, key: bytes, now: float, ttl: float) -> bool:
        """Whether nobody has claimed the key whose time is not over.

        Raises:
            BrokerError: if a million claims are open.
        """
        row = self._db.execute("SELECT expires FROM claims WHERE key = ?", (key,)).fetchone()
        if row is not None and row[0] > now:
            return False
        if row is None:
            while self._count >= MAX_CLAIMS:
                if not self.sweep(now):
                    raise BrokerError("too many open claims")
            self._count += 1
        self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?)", (key, now + ttl))
        return True

    def sweep(self, now: float) -> int:
        """Forget some that are over; how many."""
        gone = self._db.execute(
            "DELETE FROM claims WHERE key IN (SELECT key FROM claims WHERE expires <= ? LIMIT ?)",
            (now, SWEPT),
        ).rowcount
        self._count -= gone
        return gone
