"""The broker on a NATS server."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, Self

from hubbub.brokers.base import HistoryPage, Receiver
from hubbub.brokers.envelope import encode
from hubbub.brokers.followed import FollowedRooms
from hubbub.brokers.nats.claims import claim
from hubbub.brokers.nats.comparing import INTERVAL, Comparing
from hubbub.brokers.nats.erasing import erase
from hubbub.brokers.nats.history import read_history
from hubbub.brokers.nats.link import Link
from hubbub.brokers.nats.options import NatsOptions
from hubbub.brokers.nats.plain import publish_plain
from hubbub.brokers.nats.publishing import Bound, Waiting
from hubbub.brokers.nats.removal import remove_history
from hubbub.brokers.nats.rooms import HeardRooms
from hubbub.brokers.nats.session import Session
from hubbub.brokers.nats.subjects import digest, token_of
from hubbub.core.errors import BrokerError, HubbubError
from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

BACKOFF: Final = (0.1, 2.0)
"""Seconds until the first and, growing, each later attempt to reconnect; each is varied by half."""

_logger = logging.getLogger("hubbub")


class NatsBroker:
    """``nats://`` and ``tls://``: NATS 2.12 or newer with JetStream. How: see `hubbub.brokers.nats`.

    Args:
        options: where the servers are; without it, the one on this machine.
    """

    def __init__(self, options: NatsOptions | None = None) -> None:
        self._options = NatsOptions() if options is None else options
        self._servers = self._options.servers  # and those of the cluster that were discovered
        self._session: Session | None = None  # None while there is no connection
        self._earlier: Session | None = None
        self._followed: FollowedRooms | None = None  # None while stopped
        self._heard: HeardRooms | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()  # the connection must be replaced
        self._ready = asyncio.Event()  # there is a session
        self._bound = Bound()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The broker for ``nats://[user:password@|token@]host[:port][,host...][/?prefix=&replicas=]``.

        Raises:
            ConfigurationError: if the URL cannot work.
        """
        return cls(NatsOptions.from_url(url))

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
        """Whether there is a connection to a server that answers."""
        return self._session is not None and self._session.link.up

    @property
    def repaired(self) -> int:
        """Publications that the connection had lost and the stream still had, since the start."""
        return 0 if self._followed is None else self._followed.repaired

    async def start(self, receiver: Receiver) -> None:
        """Connect and begin to deliver.

        Raises:
            ConfigurationError: if the server is too old, or has no JetStream.
            BrokerError: if no server can be reached.
        """
        self._followed = FollowedRooms(receiver, self._read)
        self._heard = HeardRooms(receiver, self._followed)
        try:
            comparing = Comparing(self._followed, self._heard)
            await self._connect(self._heard, comparing)
        except BaseException:
            await self.stop()
            raise
        self._tasks = [
            asyncio.create_task(self._keep_on(partial(self._stay_connected, self._heard, comparing))),
            asyncio.create_task(self._keep_on(partial(self._compare, comparing))),
        ]

    async def stop(self) -> None:
        """Disconnect. Nothing is delivered afterwards, and what waits fails."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._followed is not None and self._heard is not None:
            self._followed.close()
            self._heard.clear()
        self._followed = self._heard = None
        await self._disconnect()

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """Deliver the room's publications; returns the position after which everything is delivered.

        Raises:
            BrokerError: if there is no connection, or it is lost meanwhile.
        """
        if self._heard is None:
            raise BrokerError("the NATS broker is stopped")
        return await self._heard.subscribe(room, history)

    def unsubscribe(self, room: str) -> None:
        """Nobody here listens to the room any more."""
        if self._heard is not None:
            self._heard.unsubscribe(room)

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
        """Accept a publication; returns once the server has it.

        Raises:
            BrokerError: if it was not accepted, or if that is unknown.
        """
        session = self._connected()
        publication = Publication(room, payload, time.time(), None, publisher, key, tags)
        data = encode(payload, publication.time, publisher, key, tags)
        token_of(room)
        message_id = None if idempotency_key is None else digest(room, idempotency_key)
        self._bound.enter(len(data))
        try:
            if history is None:
                return await publish_plain(session, publication, data, message_id)
            answer = asyncio.get_running_loop().create_future()
            return await session.writer.publish(Waiting(publication, data, history, message_id, answer))
        finally:
            self._bound.leave(len(data))

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Read a room's history.

        Raises:
            HistoryGone: if not all that followed `since` is kept.
            BrokerError: if it cannot be read.
        """
        return await read_history(self._connected().store, room, history, since, limit, reverse)

    async def erase(self, room: str, history: History, position: Position) -> bool:
        """Take one publication out of the room's history.

        Raises:
            BrokerError: if it was not done, or if that is unknown. Asking again is safe.
        """
        session = self._connected()
        async with session.writer.pause(room):
            return await erase(session.store, room, position)

    async def remove_history(self, room: str) -> None:
        """Forget the room's publications. Offsets go on."""
        await remove_history(self._connected().store, room)

    async def claim(self, key: str, ttl: float) -> bool:
        """True for the first caller, on any node, within `ttl` seconds; False for all others.

        Raises:
            BrokerError: if the server does not answer, or if too many claims are open.
        """
        return await claim(self._connected(), key, ttl)

    def _connected(self) -> Session:
        if self._session is None or not self._session.link.up:
            raise BrokerError("not connected to NATS")
        return self._session

    async def _read(self, room: str, history: History, since: Position | None) -> HistoryPage:
        """For repairs: they wait until there is a connection."""
        await self._ready.wait()
        limit = 0 if since is None else None
        return await self.history(room, history, since=since, limit=limit, reverse=False)

    async def _connect(self, heard: HeardRooms, comparing: Comparing) -> Session:
        self._wake.clear()
        link = Link(self._options, self._wake.set)
        try:
            await link.open(self._servers)
            self._servers = tuple(dict.fromkeys([*self._options.servers, *link.discovered]))
            session = await Session.begin(link, self._options, self._earlier)
            await comparing.settle(session)
            await heard.use(session)
        except BaseException:
            heard.pause()
            await link.close()
            raise
        self._session = self._earlier = session
        self._ready.set()
        return session

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        self._ready.clear()
        if self._heard is not None:
            self._heard.pause()
        if session is not None:
            await session.end()

    async def _keep_on(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do a work that never ends; should it fail, say so and begin it again."""
        while True:
            try:
                await work()
            except Exception:
                _logger.exception("NATS: a task failed, and begins again")
                await asyncio.sleep(BACKOFF[1])

    async def _stay_connected(self, heard: HeardRooms, comparing: Comparing) -> None:
        """Replace each connection that is lost."""
        while True:
            if self.connected:
                await self._wake.wait()
            await self._disconnect()
            pause = BACKOFF[0]
            while True:
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(2 * pause, BACKOFF[1])
                try:
                    session = await self._connect(heard, comparing)
                    await comparing.all(session)
                    break
                except HubbubError as error:
                    _logger.warning("no connection to NATS yet: %s", error)
                    await self._disconnect()
            _logger.info("connected to NATS again")

    async def _compare(self, comparing: Comparing) -> None:
        """Compare positions at intervals. What cannot be compared may be a stream that is gone."""
        while True:
            await asyncio.sleep(INTERVAL)
            if (session := self._session) is None or not session.link.up:
                continue
            try:
                await comparing.idle(session)
            except BrokerError as error:
                _logger.warning("positions cannot be compared: %s", error)
                if session.link.up:
                    self._wake.set()  # begin anew: look for the streams, make them, compare all
