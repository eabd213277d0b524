"""A cluster: who has which slots, and a pair of links to each master."""

import asyncio
import logging
from collections.abc import Iterable, Iterator

from hubbub.brokers.redis.keys import SLOTS, slot
from hubbub.brokers.redis.link import Link, Reply
from hubbub.brokers.redis.scripts import Scripts
from hubbub.brokers.redis.servers import Events, Server
from hubbub.brokers.redis.url import Address, Settings
from hubbub.core.errors import BrokerError, ConfigurationError

PATROL = 10.0
"""Seconds after which the map of the slots is read anew though nobody said that it changed."""

IMPATIENCE = 0.5
"""Seconds between readings of the map while a server is away or the map is known to be wrong."""

_logger = logging.getLogger("hubbub")


class Cluster:
    """`Servers` of a cluster (Redis 7 or newer, Valkey): every room lives on the master that has its slot.

    While a slot is on its way to another master, publishes to its rooms may be refused (ASK, TRYAGAIN): the
    `BrokerError` says so, and a retry succeeds when the slot has arrived.
    """

    def __init__(self, settings: Settings, scripts: Scripts, events: Events) -> None:
        self._settings = settings
        self._scripts = scripts
        self._events = events
        self._servers: dict[Address, Server] = {}
        self._slots: list[Server | None] = [None] * SLOTS
        self._stale = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None
        self._patrol: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether every server can be published to and listened to."""
        return bool(self._servers) and all(server.connected for server in self._servers.values())

    async def start(self) -> None:
        """Read the map and connect to all masters.

        Raises:
            BrokerError: if the map cannot be read, or a master not be reached.
        """
        await self._read_map()
        try:
            for server in self._servers.values():
                await server.start()
        except BrokerError:
            await self.stop()
            raise
        self._patrol = asyncio.get_running_loop().create_task(self._keep_the_map())

    async def stop(self) -> None:
        """Disconnect from all."""
        tasks = [task for task in (self._patrol, self._reading) if task is not None]
        self._patrol = self._reading = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers.values():
            await server.stop()
        self._servers = {}
        self._slots = [None] * SLOTS

    def of(self, key: bytes) -> Server:
        """The master that has the key's slot."""
        server = self._slots[slot(key)]
        if server is None:
            raise BrokerError("no server of the Redis cluster has the room's slot")
        return server

    def drop(self, channel: bytes) -> None:
        """Nobody wants the channel any more, whichever node it was asked of."""
        for server in self._servers.values():
            server.subscriptions.drop(channel)

    async def moved(self) -> None:
        """Read the map anew; all who ask meanwhile share one reading."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._renew())
            self._reading.add_done_callback(_seen)
        await asyncio.shield(self._reading)

    async def _keep_the_map(self) -> None:
        while True:
            try:
                async with asyncio.timeout(PATROL if self.connected else IMPATIENCE):
                    await self._stale.wait()
            except TimeoutError:
                pass
            self._stale.clear()
            try:
                await self.moved()
            except BrokerError as error:
                _logger.warning("redis: the map of the cluster cannot be read: %s", error)
            await asyncio.sleep(IMPATIENCE)

    async def _renew(self) -> None:
        known = set(self._servers)
        gone = await self._read_map()
        for address in set(self._servers) - known:
            self._servers[address].launch()
        for server in (*gone, *self._servers.values()):
            for channel in server.subscriptions.channels:
                owner = self._slots[slot(channel)] or server
                if owner is not server:
                    server.subscriptions.drop(channel)
                    owner.subscriptions.want(channel)
        for server in self._servers.values():
            server.subscriptions.again()
        for server in gone:
            await server.stop()

    async def _read_map(self) -> list[Server]:
        """Take over the map that any node gives; the answer is who has no slots any more."""
        ranges = list(await self._map())
        before = self._servers
        self._servers = {}
        self._slots = [None] * SLOTS
        for first, last, address in ranges:
            server = self._servers.get(address)
            if server is None:
                server = self._servers[address] = before.get(address) or self._server(address)
            self._slots[first : last + 1] = [server] * (last + 1 - first)
        return [server for address, server in before.items() if address not in self._servers]

    def _server(self, address: Address) -> Server:
        async def locate() -> Address:
            return address

        stale = self._stale.set
        return Server(locate, self._settings, self._scripts, self._events, stale, stale)

    async def _map(self) -> Iterable[tuple[int, int, Address]]:
        failure = BrokerError("the Redis cluster has no nodes")
        for address in dict.fromkeys((*self._servers, *self._settings.addresses)):
            try:
                return await self._map_of(address)
            except BrokerError as error:
                failure = error
        raise failure

    async def _map_of(self, address: Address) -> Iterable[tuple[int, int, Address]]:
        link = await Link.open(address, self._settings, self._settings.login)
        try:
            patience = self._settings.connect_timeout
            known = await link.ask_within(patience, b"COMMAND", b"INFO", b"SPUBLISH")
            reply = await link.ask_within(patience, b"CLUSTER", b"SLOTS")
        finally:
            await link.close()
        if known == [None]:
            raise ConfigurationError("the Redis cluster is too old: sharded pub/sub came with Redis 7.0")
        ranges = list(_ranges(reply, address))
        if not ranges:
            raise BrokerError(f"the Redis cluster's node at {address} knows no slots")
        return ranges


def _seen(task: asyncio.Task[None]) -> None:
    """Who asked for the reading may have gone away: its failure is not forgotten, it is read again soon."""
    if not task.cancelled():
        task.exception()


def _ranges(reply: Reply, asked: Address) -> Iterator[tuple[int, int, Address]]:
    """What the server answered: first slot, last, master, replicas. An empty host is the one that was asked.

    https://redis.io/docs/latest/commands/cluster-slots/
    """
    for one in reply if isinstance(reply, list) else []:
        match one:
            case [int(first), int(last), [host, int(port), *_], *_]:
                name = host.decode() if isinstance(host, bytes) and host not in (b"", b"?") else asked.host
                yield first, last, Address(name, port)
