"""The broker of a single process whose rooms survive its end: one SQLite file, with a thread of its own."""

import time
from asyncio import get_running_loop
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote

from hubbub.brokers import envelope
from hubbub.brokers.base import HistoryPage, Receiver
from hubbub.brokers.sqlite_link import Link
from hubbub.brokers.sqlite_operations import Append, Claim, Clear, Erase, Read
from hubbub.brokers.sqlite_schema import Synchronous
from hubbub.brokers.sqlite_store import Bounds
from hubbub.brokers.sqlite_thread import StoreThread
from hubbub.brokers.urls import split_url
from hubbub.core.errors import BrokerError, ConfigurationError
from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication, payload_bytes
from hubbub.core.positions import Position


class SqliteBroker:
    """``sqlite:///relative.db`` or ``sqlite:////absolute.db``: what it keeps survives the end of the process.

    A publish to a room with history returns once it is committed. Many that are made at the same time share a
    commit. Publications of rooms without history never reach the disk, unless they have an idempotency key.

    Args:
        path: the file. It is made with permissions 0600 if its folder is there.
        synchronous: "normal" survives the end of the process, however it ends; "full" also a loss of power.
        history_bytes: bound on the payload bytes of all rooms' histories together.
        max_rooms: bound on the number of rooms with a history.
        clock: seconds since the Unix epoch.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        synchronous: Synchronous = "normal",
        history_bytes: int = 1_073_741_824,
        max_rooms: int = 1_000_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._synchronous: Synchronous = synchronous
        self._bounds = Bounds(history_bytes, max_rooms)
        self._clock = clock
        self._receiver: Receiver | None = None
        self._link: Link | None = None  # None while stopped

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The broker for a URL. ``?synchronous=full`` is its one option.

        Raises:
            ConfigurationError: if the URL cannot work.
        """
        parts = split_url(url)
        path = unquote(parts.path[1:])
        if parts.netloc or parts.fragment:
            raise ConfigurationError(
                f"{url!r}: a SQLite file is sqlite:///relative.db or sqlite:////absolute.db"
            )
        if not path or path == ":memory:":
            raise ConfigurationError(f"{url!r} names no file; without one there is memory://")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        synchronous = options.pop("synchronous", "normal")
        if options:
            raise ConfigurationError(f"{url!r}: unknown option {min(options)!r}; there is synchronous")
        if synchronous not in {"normal", "full"}:
            raise ConfigurationError(f"{url!r}: synchronous is normal or full")
        return cls(path, synchronous="full" if synchronous == "full" else "normal")

    @property
    def shared(self) -> bool:
        """No other process is there."""
        return False

    @property
    def immediate(self) -> bool:
        """The file has to be written."""
        return False

    @property
    def connected(self) -> bool:
        """Whether it runs, the disk answers, and the last transaction worked."""
        return self._link is not None and self._link.connected

    @property
    def repaired(self) -> int:
        """There is no link that could lose anything."""
        return 0

    # Life

    async def start(self, receiver: Receiver) -> None:
        """Open the file and begin to deliver.

        Raises:
            ConfigurationError: if the file cannot be used: its folder is missing, it may not be written, or
                it belongs to another program or to a newer version of this one.
            BrokerError: if another process uses it, if it is damaged, or if this broker runs already.
        """
        if self._link is not None:
            raise BrokerError("the SQLite broker runs already")
        self._receiver = receiver
        link = self._link = Link(str(self.path), self._deliver)
        worker = StoreThread(
            self.path, self._synchronous, self._bounds, self._clock, link, get_running_loop()
        )
        try:
            await link.open(worker)
        except BaseException:
            self._link = None
            raise

    async def stop(self) -> None:
        """Commit and deliver what was asked for, put everything into the one file, and close it."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        if self._link is None:
            self._receiver = None

    def _running(self) -> Link:
        if self._link is None:
            raise BrokerError("the SQLite broker is stopped")
        self._link.check_open()
        return self._link

    def _deliver(self, publication: Publication) -> None:
        receiver, position = self._receiver, publication.position
        if receiver is None:
            return
        if position is not None and position.offset == 1:
            # Nothing new to those who subscribed to an empty room, but the room may have been forgotten.
            receiver.interrupted(publication.room, Position(position.epoch, 0))
        receiver.publication(publication)

    # Publishing

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """Every publication is made here and delivered anyway; this tells where the room stands."""
        if history is None:
            self._running()
            return None
        return (await self.history(room, history, since=None, limit=0, reverse=False)).position

    def unsubscribe(self, room: str) -> None:
        """Nothing to do: the hub delivers only to rooms that have members."""

    async def publish(
        self,
        room: str,
        payload: Payload,
        *,
        history: History | None = None,
        publisher: str | None = None,
        key: str | None = None,
        tags: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Publication:
        """Commit and deliver; without history and idempotency key, deliver at once.

        Whether a publish that is cancelled while it waits was made is not known.

        Raises:
            BrokerError: if it was not committed: the broker is stopped, the file cannot be written, or too
                many wait.
        """
        link, now = self._link, self._clock()
        if link is None:
            raise BrokerError("the SQLite broker is stopped")
        if history is None and idempotency_key is None:
            link.check_open()
            publication = Publication(room, payload, now, None, publisher, key, tags)
            self._deliver(publication)
            return publication
        data = envelope.encode(payload, now, publisher, key, tags)
        append = Append(
            room, payload, now, publisher, key, tags, history,
            None if idempotency_key is None else _bytes(f"{room} {idempotency_key}"),
            payload_bytes(payload), data, link.create_future(),
        )  # fmt: skip
        link.ask(append, len(data))
        return await append.waiter

    # History and claims

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Read a room's history; whoever has published finds it there.

        Raises:
            HistoryGone: if `since` cannot be continued.
            BrokerError: if the file cannot be read.
        """
        waiter = get_running_loop().create_future()
        self._running().ask(Read(room, self._clock(), history, since, limit, reverse, waiter))
        page: HistoryPage = await waiter
        return page

    async def erase(self, room: str, history: History, position: Position) -> bool:
        """Take one publication out of the room's history.

        Raises:
            BrokerError: if that could not be committed.
        """
        waiter = get_running_loop().create_future()
        self._running().ask(Erase(room, position, waiter))
        erased: bool = await waiter
        return erased

    async def remove_history(self, room: str) -> None:
        """Forget the room's publications.

        Raises:
            BrokerError: if that could not be committed.
        """
        waiter = get_running_loop().create_future()
        self._running().ask(Clear(room, waiter))
        await waiter

    async def claim(self, key: str, ttl: float) -> bool:
        """True for the first caller within `ttl` seconds, also after a restart.

        Raises:
            BrokerError: if that could not be committed, or if a million claims are open.
        """
        waiter = get_running_loop().create_future()
        self._running().ask(Claim(_bytes(key), self._clock(), ttl, waiter))
        granted: bool = await waiter
        return granted


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
