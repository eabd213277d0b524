"""A small table that all nodes have, and that outlives them as far as the broker's histories do."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

import msgspec

from hubbub.brokers import Broker
from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError, LimitReached
from hubbub.core.positions import Position
from hubbub.hub.background import Background
from hubbub.hub.following import Following
from hubbub.hub.signals import LEDGER, LEDGERS, Signals

MAX_ENTRIES: Final = 10_000
"""Entries that a ledger holds."""

MAX_RECORD_BYTES: Final = 800
"""Largest record: a key of 512 bytes and a small value."""

REWRITE_AFTER: Final = 20_000
"""Records after which an entry is written again. Each record that is new has at most one entry written again,
so that all of them are before the room's history, of 40,000 records, has lost one."""

SWEEP_EVERY: Final = 1_000
"""Records after which entries that do not count are looked for."""

RESTORE_CLAIM: Final = 60.0
"""Seconds for which one node is the one that restores what the broker has lost."""

RETRY: Final = 0.1
MAX_RETRY: Final = 5.0
"""Seconds between attempts to restore the table: from the first to the second, doubling."""

_logger = logging.getLogger("hubbub")

Changed: TypeAlias = Callable[[bytes, bytes | None], None]
"""Called with a key and its new value; None for one that was removed. Does not wait."""


class _Record(msgspec.Struct, frozen=True, array_like=True):
    """What a key is from here on."""

    key: bytes
    value: bytes | None
    """None if it is removed."""

    expires: float | None = None
    """Seconds since the Unix epoch; None for never."""

    again: int = 0
    """The offset of the record that this one repeats. It counts for nothing if a newer one is known."""


class _Entry(msgspec.Struct):
    record: _Record
    offset: int


_decoder = msgspec.msgpack.Decoder(_Record)


class Ledger:
    """The records of one room of the broker, which every node reads when it starts, and then follows.

    The newest record of a key counts. Removed keys are kept as well, until no older record can come.

    Args:
        name: of the table; the same on all nodes.
        broker: keeps the records.
        following: the subscriptions at the broker.
        signals: delivers new records.
        changed: is told of changes after the start.
    """

    __slots__ = (
        "_background",
        "_broker",
        "_changed",
        "_damage",
        "_entries",
        "_epoch",
        "_following",
        "_live",
        "_repairing",
        "_restoring",
        "_room",
        "_signals",
        "_top",
    )

    def __init__(
        self, name: str, broker: Broker, following: Following, signals: Signals, changed: Changed
    ) -> None:
        self._room = LEDGERS + name
        self._broker = broker
        self._following = following
        self._signals = signals
        self._changed = changed
        self._entries: dict[bytes, _Entry] = {}  # about in the order they were written in
        self._epoch = ""
        self._top = 0
        self._live = False  # what is heard now is new
        self._background = Background("ledger")
        self._damage = asyncio.Event()  # records were lost, and are yet to be read
        self._repairing = False  # a task does it
        self._restoring = ""  # the epoch in which this node writes again what was lost

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None if there is none, or it has expired."""
        entry = self._entries.get(key)
        return entry.record.value if entry is not None and _counts(entry.record) else None

    async def start(self) -> None:
        """Read the table. Raises `BrokerError` if the broker does not answer."""
        await self._following.follow(self._room)  # also where signals do not leave the process
        await self._signals.listen(self._room, self._heard, self._lost)
        await self._read()
        self._live = True

    async def stop(self) -> None:
        """Follow it no longer."""
        await self._background.stop()
        self._signals.ignore(self._room)
        self._following.unfollow(self._room)

    async def put(self, key: bytes, value: bytes, expires: float | None = None) -> None:
        """Give a key a value, on all nodes; on this one before the call returns.

        Args:
            key: at most 512 bytes.
            value: as much as a record has room for.
            expires: when it is forgotten, in seconds since the Unix epoch; None for never.

        Raises:
            LimitReached: if there are `MAX_ENTRIES` already, or the record is too large.
            BrokerError: if the broker did not take it.
        """
        if self.get(key) is None and self._count() >= MAX_ENTRIES:
            raise LimitReached(f"There are {MAX_ENTRIES:,} entries already")
        await self._write(_Record(key, value, expires))
        await self._write_again()

    async def remove(self, key: bytes) -> None:
        """Take a key out, on all nodes. Raises `BrokerError`."""
        if self.get(key) is not None:
            await self._write(_Record(key, None))
            await self._write_again()

    def _count(self) -> int:
        return sum(_counts(entry.record) for entry in self._entries.values())

    def _sweep(self) -> None:
        """Forget what does not count and of which no older record can come."""
        oldest = self._top - 2 * REWRITE_AFTER
        for key, entry in list(self._entries.items()):
            if entry.offset < oldest and not _counts(entry.record):
                del self._entries[key]

    async def _write(self, record: _Record) -> None:
        data = signal_codec.encode(record)
        if len(data) > MAX_RECORD_BYTES:
            raise LimitReached("This is too long to be remembered")
        written = await self._broker.publish(self._room, data, history=LEDGER.history)
        if written.position is not None:
            self._take(record, written.position)

    async def _write_again(self) -> None:
        """Keep the oldest entry that counts within the history."""
        oldest = next((one for one in self._entries.values() if _counts(one.record)), None)
        if oldest is not None and oldest.offset <= self._top - REWRITE_AFTER:
            await self._write(msgspec.structs.replace(oldest.record, again=oldest.offset))

    # Reading

    async def _read(self) -> None:
        history = LEDGER.history
        assert history is not None, "a ledger's room has one"
        page = await self._broker.history(self._room, history, since=None, limit=None, reverse=False)
        self._see(page.position)
        for publication in page.publications:
            record = _decode(publication.payload)
            if record is not None and publication.position is not None:
                self._take(record, publication.position)

    def _heard(self, data: bytes) -> None:
        position, record = self._following.position(self._room), _decode(data)
        if position is not None and record is not None:
            self._take(record, position)

    def _take(self, record: _Record, position: Position) -> None:
        """Take a record over, unless a newer one is known."""
        self._see(position)
        known = self._entries.get(record.key)
        if known is not None and known.offset >= position.offset:
            return
        if record.again and known is not None and known.offset > record.again:
            return
        self._entries.pop(record.key, None)
        self._entries[record.key] = _Entry(record, position.offset)
        before = known.record.value if known is not None else None
        if self._live and record.value != before:
            self._changed(record.key, record.value if _counts(record) else None)

    def _see(self, position: Position) -> None:
        """Note how far the room has come."""
        if position.epoch != self._epoch:  # it began anew: all that is known is older
            self._epoch, self._top = position.epoch, 0
            for entry in self._entries.values():
                entry.offset = 0
        if position.offset // SWEEP_EVERY > self._top // SWEEP_EVERY:
            self._top = position.offset
            self._sweep()
        self._top = max(self._top, position.offset)

    def _lost(self) -> None:
        self._damage.set()
        if not self._repairing:
            self._repairing = True
            self._background.run(self._repair())

    async def _repair(self) -> None:
        """Restore the table, and try again until that is done: what was missed may keep somebody out."""
        pause = RETRY
        try:
            while self._damage.is_set():
                self._damage.clear()
                try:
                    restored = await self._restore()
                except BrokerError as error:
                    _logger.error("%s was not read again yet: %s", self._room, error)
                    self._damage.set()
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, MAX_RETRY)
                    continue
                pause = RETRY
                if not restored:
                    await self._wait(RESTORE_CLAIM)
                    self._damage.set()
        finally:
            self._repairing = False

    async def _restore(self) -> bool:
        """Read what was missed, and write again what the broker does not have any more.

        Returns False if that is for another node to write, which may die before it has.
        """
        await self._read()
        lost = [one.record for one in self._entries.values() if not one.offset and _counts(one.record)]
        if lost and self._restoring != self._epoch:
            if not await self._broker.claim(f"{self._room} {self._epoch}", RESTORE_CLAIM):
                return False
            self._restoring = self._epoch
        for record in lost:
            await self._write(msgspec.structs.replace(record, again=0))
        return True

    async def _wait(self, seconds: float) -> None:
        """Until something is lost again, so many seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._damage.wait()


def _counts(record: _Record) -> bool:
    return record.value is not None and (record.expires is None or record.expires > time.time())


def _decode(data: object) -> _Record | None:
    if not isinstance(data, bytes):
        return None
    return signal_codec.decode(data, _decoder, MAX_RECORD_BYTES)
