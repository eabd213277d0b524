"""Where rooms live: one server, or the one that the sentinels name. `cluster` has the many."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hubbub.brokers.redis.link import Link
from hubbub.brokers.redis.publishing import Commands
from hubbub.brokers.redis.reconnecting import Locate
from hubbub.brokers.redis.scripts import Scripts
from hubbub.brokers.redis.subscriptions import Subscriptions
from hubbub.brokers.redis.url import Address, Settings
from hubbub.core.errors import BrokerError


@dataclass(frozen=True, slots=True)
class Events:
    """What the servers tell the broker."""

    message: Callable[[bytes, bytes], None]
    """A message came: its channel and content."""

    ready: Callable[[], None]
    """A link came back: positions are to be compared, for something may have been missed."""


class Server:
    """One server and the two links to it."""

    def __init__(
        self,
        locate: Locate,
        settings: Settings,
        scripts: Scripts,
        events: Events,
        lost: Callable[[], None],
        moved: Callable[[], None],
    ) -> None:
        self._ready = events.ready
        self.commands = Commands(locate, settings, scripts, self._back, lost)
        self.subscriptions = Subscriptions(locate, settings, events.message, self._back, lost, moved)

    @property
    def connected(self) -> bool:
        """Whether both links are up."""
        return self.commands.connected and self.subscriptions.connected

    async def start(self) -> None:
        """Connect; raises `BrokerError` if it does not work the first time."""
        await self.commands.start()
        await self.subscriptions.start()

    def launch(self) -> None:
        """Begin to connect, for as long as it takes."""
        self.commands.launch()
        self.subscriptions.launch()

    async def stop(self) -> None:
        """Disconnect."""
        await self.commands.stop()
        await self.subscriptions.stop()

    def _back(self) -> None:
        """After a failover one of the links may have stayed with the old master, where nothing comes."""
        publishing, listening = self.commands.address, self.subscriptions.address
        if publishing is not None and listening is not None and publishing != listening:
            self.commands.reset("the Redis server is another one now")
            self.subscriptions.reset("the Redis server is another one now")
        self._ready()


class Servers(Protocol):
    """All servers of a broker."""

    @property
    def connected(self) -> bool:
        """Whether every server can be published to and listened to."""
        ...

    async def start(self) -> None:
        """Connect; raises `BrokerError` if it does not work the first time."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...

    def of(self, key: bytes) -> Server:
        """The server that has a key or channel; raises `BrokerError` if none is known."""
        ...

    def drop(self, channel: bytes) -> None:
        """Nobody wants the channel any more, whichever server it was asked of."""
        ...

    async def moved(self) -> None:
        """A server said that it does not have a key: find out who does, or raise `BrokerError`."""
        ...


class OneServer:
    """`Servers` where there is one: at a fixed address, or at the one that sentinels give."""

    def __init__(self, settings: Settings, scripts: Scripts, events: Events) -> None:
        self._settings = settings
        self._server = Server(self._locate, settings, scripts, events, _nothing, _nothing)

    @property
    def connected(self) -> bool:
        """Whether both links are up."""
        return self._server.connected

    async def start(self) -> None:
        """Connect; raises `BrokerError` if it does not work the first time."""
        await self._server.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._server.stop()

    def of(self, key: bytes) -> Server:
        """The server."""
        return self._server

    def drop(self, channel: bytes) -> None:
        """Nobody wants the channel any more."""
        self._server.subscriptions.drop(channel)

    async def moved(self) -> None:
        """Always refuses: this is a node of a cluster, which was not said."""
        raise BrokerError("the Redis server is part of a cluster: use redis+cluster://")

    async def _locate(self) -> Address:
        if self._settings.service is None:
            return self._settings.addresses[0]
        failure = BrokerError("there are no sentinels")
        for sentinel in self._settings.addresses:
            try:
                return await self._ask(sentinel, self._settings.service)
            except BrokerError as error:
                failure = error
        raise failure

    async def _ask(self, sentinel: Address, service: str) -> Address:
        link = await Link.open(sentinel, self._settings, self._settings.sentinel_login)
        try:
            reply = await link.ask_within(
                self._settings.connect_timeout, b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", service.encode()
            )
        finally:
            await link.close()
        match reply:
            case [bytes(host), bytes(port)]:
                return Address(host.decode(), int(port))
        raise BrokerError(f"the sentinel at {sentinel} does not know {service!r}")


def _nothing() -> None:
    pass
