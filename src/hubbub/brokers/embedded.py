"""The broker of one machine: a Valkey that the workers start and supervise themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, quote, unquote

from hubbub.brokers.base import HistoryPage, Receiver
from hubbub.brokers.embedded_process import ValkeyProcess
from hubbub.brokers.embedded_server import Fsync
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.urls import split_url
from hubbub.core.errors import BrokerError, ConfigurationError
from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

DEFAULT_FOLDER = "hubbub-data"


class EmbeddedBroker:
    """``embedded://`` or ``embedded:///path/to/folder``: the Redis broker over a Valkey of its own.

    All workers that name the same folder share one Valkey on a Unix socket. It keeps its data in the folder.

    Args:
        folder: made with permissions 0700 if it is not there.
        fsync: "everysec" survives the end of any process; "always" also a loss of power, and is slower.

    Raises:
        ConfigurationError: if this platform has no Valkey.
    """

    def __init__(self, folder: str | Path = DEFAULT_FOLDER, *, fsync: Fsync = "everysec") -> None:
        self.folder = Path(folder)
        self._process = ValkeyProcess(self.folder, fsync)
        self._broker: RedisBroker | None = None  # None while stopped

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The broker for a URL. ``?fsync=always`` is its one option.

        Without a path the folder is `hubbub-data` in the working directory.

        Raises:
            ConfigurationError: if the URL cannot work, or if this platform has no Valkey.
        """
        parts = split_url(url)
        if parts.netloc or parts.fragment:
            raise ConfigurationError(f"{url!r}: a folder is embedded:///path/to/folder")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        fsync = options.pop("fsync", "everysec")
        if options:
            raise ConfigurationError(f"{url!r}: unknown option {min(options)!r}; there is fsync")
        if fsync not in {"everysec", "always"}:
            raise ConfigurationError(f"{url!r}: fsync is everysec or always")
        folder = unquote(parts.path) if parts.path.strip("/") else DEFAULT_FOLDER
        return cls(folder, fsync="always" if fsync == "always" else "everysec")

    @property
    def shared(self) -> bool:
        """Other processes may be there."""
        return True

    @property
    def immediate(self) -> bool:
        """The server has to answer."""
        return False

    @property
    def connected(self) -> bool:
        """Whether Valkey answers, and somebody would start it if it died."""
        return self._broker is not None and self._broker.connected and self._process.runs

    @property
    def supervises(self) -> bool:
        """Whether it is this process that starts Valkey when it dies."""
        return self._process.supervises

    @property
    def repaired(self) -> int:
        """Publications that the link had lost and Valkey still had, since the start."""
        return 0 if self._broker is None else self._broker.repaired

    async def start(self, receiver: Receiver) -> None:
        """Start Valkey or find it running, and begin to deliver.

        Raises:
            ConfigurationError: if the folder cannot be used.
            BrokerError: if Valkey does not get ready, or if this broker runs already.
        """
        if self._broker is not None:
            raise BrokerError("the embedded broker runs already")
        path = await self._process.start()
        broker = RedisBroker.from_url(f"unix://{quote(str(path))}")
        try:
            await broker.start(receiver)
        except BaseException:
            await self._process.stop()
            raise
        self._broker = broker

    async def stop(self) -> None:
        """Stop delivering, and end Valkey if no other worker uses it."""
        broker, self._broker = self._broker, None
        if broker is not None:
            try:
                await broker.stop()
            finally:
                await self._process.stop()

    def _running(self) -> RedisBroker:
        if self._broker is None:
            raise BrokerError("the embedded broker is stopped")
        return self._broker

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """See `RedisBroker.subscribe`."""
        return await self._running().subscribe(room, history)

    def unsubscribe(self, room: str) -> None:
        """See `RedisBroker.unsubscribe`."""
        if self._broker is not None:
            self._broker.unsubscribe(room)

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
        """See `RedisBroker.publish`."""
        return await self._running().publish(
            room,
            payload,
            history=history,
            publisher=publisher,
            key=key,
            tags=tags,
            idempotency_key=idempotency_key,
        )

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """See `RedisBroker.history`."""
        return await self._running().history(room, history, since=since, limit=limit, reverse=reverse)

    async def erase(self, room: str, history: History, position: Position) -> bool:
        """See `RedisBroker.erase`."""
        return await self._running().erase(room, history, position)

    async def remove_history(self, room: str) -> None:
        """See `RedisBroker.remove_history`."""
        await self._running().remove_history(room)

    async def claim(self, key: str, ttl: float) -> bool:
        """See `RedisBroker.claim`."""
        return await self._running().claim(key, ttl)
