"""A link that comes back: opened again with backoff, watched by pings, its failures seen."""

import asyncio
import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Never, TypeAlias

from hubbub.brokers.redis.link import Link, Reply
from hubbub.brokers.redis.url import Address, Settings
from hubbub.core.errors import BrokerError

SHORTEST_BACKOFF = 0.1
"""Seconds before the first attempt to come back."""

LONGEST_BACKOFF = 2.0
"""Seconds between later attempts, at most."""

MOUTHFUL = 32
"""Answers after which others get their turn: who was answered asks anew while the server is still busy."""

_logger = logging.getLogger("hubbub")

Locate: TypeAlias = Callable[[], Awaitable[Address]]
"""Tells where the server is now; raises `BrokerError` where nobody knows."""


class ReconnectingLink(ABC):
    """One link to one server, for as long as it is started.

    Args:
        locate: asked before every attempt to connect.
        settings: how to get in and how long to wait.
        ready: called when the link is up, and everything asked of it before is in place again.
        lost: called when it is down.
    """

    purpose = "link"

    def __init__(
        self, locate: Locate, settings: Settings, ready: Callable[[], None], lost: Callable[[], None]
    ) -> None:
        self._locate = locate
        self._settings = settings
        self._ready = ready
        self._lost = lost
        self._wake = asyncio.Event()  # something waits to be sent
        self._heard = 0.0  # when the server last answered, by the event loop's clock
        self._supervisor: asyncio.Task[None] | None = None
        self._failure: BrokerError | None = None
        self._link: Link | None = None
        self.address: Address | None = None
        """The server it is connected to; None while it is not."""

    @property
    def connected(self) -> bool:
        """Whether the server can be asked now."""
        return self.address is not None

    async def start(self) -> None:
        """Connect; from then on the link comes back by itself.

        Raises:
            BrokerError: if it does not work the first time.
        """
        self._adopt(*await self._open())
        self.launch()

    def launch(self) -> None:
        """Begin to connect, for as long as it takes."""
        self._supervisor = asyncio.get_running_loop().create_task(self._supervise())
        self._supervisor.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Disconnect. Who still waits gets a `BrokerError`."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        await self._release(BrokerError("the broker is stopped"))

    def reset(self, reason: str) -> None:
        """Give this connection up and look for the server anew."""
        self._failure = BrokerError(reason)
        self._wake.set()

    # What the two kinds of link do with it

    @abstractmethod
    def _opened(self) -> None:
        """The link is up and nothing was sent over it yet."""

    @abstractmethod
    def _closed(self, error: BrokerError) -> None:
        """The link is down: what was asked for will not be answered."""

    @abstractmethod
    def _take(self) -> bytes:
        """What is to be sent now; called again until it is empty."""

    @abstractmethod
    def _received(self, reply: Reply) -> None:
        """The server said something. Raises `BrokerError` if the link is of no use any more."""

    @abstractmethod
    def _ping(self) -> None:
        """Ask something that costs nothing."""

    @abstractmethod
    def _owed_since(self) -> float | None:
        """Since when the server owes its oldest answer; None if it owes none."""

    async def _greet(self, link: Link) -> None:
        """Whatever the server must be told or asked before it is used."""
        if self._settings.service is not None:
            role = await link.ask(b"ROLE")
            if not isinstance(role, list) or not role or role[0] != b"master":
                raise BrokerError("the Redis server that the sentinels named is no master (yet)")

    # The link's life

    async def _open(self) -> tuple[Address, Link]:
        address = await self._locate()
        link = await Link.open(address, self._settings, self._settings.login, self._settings.db)
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._greet(link)
        except TimeoutError as error:
            await link.close()
            raise BrokerError(f"the Redis server at {address} does not answer") from error
        except BaseException:
            await link.close()
            raise
        return address, link

    async def _supervise(self) -> None:
        while True:
            if self._link is None:
                self._adopt(*await self._open_at_last())
            address = self.address
            try:
                await self._serve()
            except BrokerError as failure:
                error = failure
            except Exception as failure:
                _logger.exception("redis: the %s failed", self.purpose)
                error = BrokerError(f"the link to the Redis server failed: {failure!r}")
            await self._release(error)
            _logger.warning("redis: the %s to %s was lost: %s", self.purpose, address, error)

    def _adopt(self, address: Address, link: Link) -> None:
        self.address, self._link, self._failure = address, link, None
        self._heard = asyncio.get_running_loop().time()
        self._opened()

    async def _release(self, error: BrokerError) -> None:
        if self._link is not None:
            link, self._link, self.address = self._link, None, None
            self._closed(error)
            self._lost()
            await link.close()

    async def _open_at_last(self) -> tuple[Address, Link]:
        backoff, said = SHORTEST_BACKOFF, ""
        while True:
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))
            try:
                address, link = await self._open()
            except BrokerError as error:
                if said != str(error):
                    said = str(error)
                    _logger.warning("redis: the %s cannot come back yet: %s", self.purpose, said)
                backoff = min(backoff * 2, LONGEST_BACKOFF)
            else:
                _logger.info("redis: the %s to %s is there", self.purpose, address)
                return address, link

    async def _serve(self) -> Never:
        """Use the link until it fails: raises what it failed of."""
        link = self._link
        assert link is not None
        parts: list[Coroutine[None, None, None]] = [self._read(link), self._write(link), self._watch()]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        raise BrokerError("the link to the Redis server was closed")

    async def _read(self, link: Link) -> None:
        time = asyncio.get_running_loop().time
        while True:
            for _ in range(MOUTHFUL):
                reply = await link.receive()
                self._heard = time()
                self._received(reply)
            await asyncio.sleep(0)

    async def _write(self, link: Link) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._failure is not None:
                raise self._failure
            while data := self._take():
                await link.send(data)

    async def _watch(self) -> None:
        """Notice a server that is silent; a process that was itself asleep blames nobody."""
        time = asyncio.get_running_loop().time
        step = self._settings.ping_interval / 2
        while True:
            before = time()
            await asyncio.sleep(step)
            now = time()
            if now - before > 2 * step:
                self._heard = now
            owed = self._owed_since()
            if owed is None:
                if now - self._heard >= self._settings.ping_interval - step:
                    self._ping()
            elif now - max(self._heard, owed) > self._settings.ping_timeout - step:
                raise BrokerError("the Redis server does not answer any more")
            elif now - owed > self._settings.timeout and now - before <= 2 * step:
                raise BrokerError(f"the Redis server took more than {self._settings.timeout} s to answer")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.address = None
            _logger.error("redis: the %s will not come back", self.purpose, exc_info=error)
