"""The file of the SQLite broker: its tables and their version, how it is opened, and who may."""

import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final, Literal

from hubbub.core.errors import BrokerError, ConfigurationError

VERSION: Final = 1
"""Of the tables, kept in ``PRAGMA user_version``."""

APPLICATION: Final = 0x48754262
"""Marks the file as one of ours, in ``PRAGMA application_id``."""

Synchronous = Literal["normal", "full"]

# A publication is found by its room and offset. `mark` is the payload bytes that the room had taken before
# it: the bytes of any range of a room are the difference of two marks, so that no trim has to add up.
# `expires` of a room is when its newest publication is too old. Ids of `keys` grow with time.
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE rooms (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL,
    top INTEGER NOT NULL, first INTEGER NOT NULL, mark INTEGER NOT NULL, first_mark INTEGER NOT NULL,
    written REAL NOT NULL, expires REAL NOT NULL
);
CREATE TABLE publications (
    room INTEGER, position INTEGER, time REAL NOT NULL, mark INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (room, position)
) WITHOUT ROWID;
CREATE TABLE journal (id INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE keys (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, time REAL NOT NULL, epoch TEXT, position INTEGER
);
CREATE TABLE claims (key BLOB PRIMARY KEY, expires REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX claims_expire ON claims (expires);
"""


def check_path(path: Path) -> None:
    """See that the file can be there, and make it with permissions 0600 if it is not.

    Raises:
        ConfigurationError: if the folder is missing, or the file is none or may not be written.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"The folder {path.parent} for the SQLite file {path.name} does not exist")
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder, not a SQLite file")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise ConfigurationError(f"The SQLite file {path} cannot be written: {error.strerror}") from error


def connect(path: Path, synchronous: Synchronous) -> sqlite3.Connection:
    """Open the file for the calling thread, and make its tables if it is empty.

    Raises:
        ConfigurationError: if the file belongs to something else or to a newer version, or is read-only.
        BrokerError: if SQLite cannot work with it.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    except sqlite3.Error as error:
        raise BrokerError(f"the SQLite file {path} cannot be opened: {error}") from error
    try:
        _prepare(connection, path, synchronous)
    except sqlite3.Error as error:
        connection.close()
        raise BrokerError(f"the SQLite file {path} cannot be used: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path, synchronous: Synchronous) -> None:
    _check_owner(connection, path)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise BrokerError(f"the SQLite file {path} is on a file system without what WAL mode needs ({mode})")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA cache_size = -16384")
    # The journal's pages are written again and again: the longer until they are copied, the fewer are.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA journal_size_limit = 33554432")
    connection.execute("PRAGMA temp_store = MEMORY")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        epoch = f"INSERT INTO meta VALUES ('epoch', '{secrets.token_hex(6)}'), ('forgotten', 0);"
        tables = _TABLES + epoch + f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {tables} COMMIT;")


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Nothing is written before it is clear that the file is ours."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION and (tables or version or application):
        raise ConfigurationError(f"{path} is a SQLite file of another program")
    if version > VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer version of Hubbub (schema {version}; this one knows {VERSION})"
        )
