"""The broker: what a hub asks of it, in terms of scripts, links and channels."""

import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Self

import msgspec

from hubbub.brokers import envelope
from hubbub.brokers.base import HistoryPage, Receiver
from hubbub.brokers.followed import FollowedRooms
from hubbub.brokers.redis.cluster import Cluster
from hubbub.brokers.redis.keys import Keys, read_place
from hubbub.brokers.redis.link import Refusal, Reply
from hubbub.brokers.redis.reading import read_page, read_position, read_since
from hubbub.brokers.redis.requests import Request, Requests
from hubbub.brokers.redis.rooms import Rooms
from hubbub.brokers.redis.scripts import Scripts
from hubbub.brokers.redis.servers import Events, OneServer, Servers
from hubbub.brokers.redis.sweep import Sweep
from hubbub.brokers.redis.url import Settings
from hubbub.core.errors import BrokerError
from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

COMPLAINT_INTERVAL = 60.0
"""Seconds between two log lines about messages that cannot be read."""

_logger = logging.getLogger("hubbub")


class _Running:
    """What exists only between start and stop."""

    def __init__(self, servers: Servers, rooms: Rooms, followed: FollowedRooms, sweep: Sweep) -> None:
        self.servers = servers
        self.rooms = rooms
        self.followed = followed
        self.sweep = sweep


class RedisBroker:
    """``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://``, ``redis+cluster://``.

    Args:
        settings: where the servers are and how long to wait for them.
        clock: seconds since the Unix epoch.
    """

    def __init__(self, settings: Settings | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings or Settings()
        self._clock = clock
        self._keys = Keys(self._settings.prefix, self._settings.db)
        self._scripts = Scripts.of(self._settings.cluster)
        self._publish_command = b"SPUBLISH" if self._settings.cluster else b"PUBLISH"
        self._requests = Requests(self._keys, self._scripts, secrets.token_urlsafe(8))
        self._complained = -COMPLAINT_INTERVAL  # by the monotonic clock
        self._receiver: Receiver | None = None
        self._running: _Running | None = None  # None while stopped

    @classmethod
    def from_url(cls, url: str) -> Self:
        """The broker for a URL; its options are the times and the prefix of `Settings`.

        Raises:
            ConfigurationError: for a URL that cannot work.
        """
        return cls(Settings.from_url(url))

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
        """Whether all servers can be published to and listened to."""
        return self._running is not None and self._running.servers.connected

    @property
    def repaired(self) -> int:
        """Publications that the link had lost and the server still had, since the start."""
        return 0 if self._running is None else self._running.followed.repaired

    async def start(self, receiver: Receiver) -> None:
        """Connect and begin to deliver.

        Raises:
            BrokerError: if a server cannot be reached or refuses the login.
            ConfigurationError: if it cannot do what is needed.
        """
        if self._running is not None:
            raise BrokerError("the Redis broker runs already")
        followed = FollowedRooms(receiver, self._repair)
        sweep = Sweep(followed, self._position)
        events = Events(self._message, sweep.now)
        make = Cluster if self._settings.cluster else OneServer
        servers: Servers = make(self._settings, self._scripts, events)
        rooms = Rooms(servers, self._keys, followed, self._position, self._settings.timeout)
        self._receiver = receiver
        try:
            await servers.start()
        except BaseException:
            await servers.stop()
            raise
        self._running = _Running(servers, rooms, followed, sweep)
        sweep.start()

    async def stop(self) -> None:
        """Disconnect. Nothing is delivered afterwards; who still waits gets a `BrokerError`."""
        running, self._running = self._running, None
        if running is not None:
            await running.sweep.stop()
            running.followed.close()
            await running.rooms.close()
            await running.servers.stop()

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        """Deliver the room's publications; returns once the server acknowledged and the position is known.

        Raises:
            BrokerError: if the server does neither, or if the room is unsubscribed from meanwhile.
        """
        return await self._run().rooms.enter(room, history)

    def unsubscribe(self, room: str) -> None:
        """Stop delivering at once; the server is told soon."""
        if self._running is not None:
            self._running.rooms.leave(room)

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
        """Accept a publication: one script keeps and sends it.

        Raises:
            BrokerError: if the server did not take it, or if the link was lost before it said so; the message
                tells which. A retry with the same idempotency key is safe in both cases.
        """
        now = self._clock()
        data = envelope.encode(payload, now, publisher, key, tags)
        if history is None and idempotency_key is None:
            channel = self._keys.channel(room)
            await self._ask(channel, self._publish_command, channel, b"::" + data)
            return Publication(room, payload, now, None, publisher, key, tags)
        stamp = repr(now).encode()
        if history is not None:
            known = self._run().followed.position(room)
            request = self._requests.publish(room, known, payload, data, stamp, history, idempotency_key)
        else:
            assert idempotency_key is not None
            request = self._requests.publish_once(room, data, stamp, idempotency_key)
        reply = await self._call(request)
        if not isinstance(reply, bytes):
            raise BrokerError("the Redis server's answer cannot be read")
        position, when = read_place(reply)
        accepted = now if when == stamp else float(when)
        return Publication(room, payload, accepted, position, publisher, key, tags)

    async def history(
        self, room: str, history: History, *, since: Position | None, limit: int | None, reverse: bool
    ) -> HistoryPage:
        """Read a room's history, position and publications in one step.

        Raises:
            HistoryGone: if not all that followed `since` is kept.
            BrokerError: if the server does not answer.
        """
        before = self._clock() - history.ttl
        known = self._run().followed.position(room)
        request = self._requests.read(room, known, since, limit, reverse, before)
        reply = await self._call(request)
        if since is None:
            return read_page(room, reply, before)
        return read_since(room, reply, since, before, limit)

    async def erase(self, room: str, history: History, position: Position) -> bool:
        """Take one publication out of the room's history.

        Raises:
            BrokerError: if the server does not answer.
        """
        known = self._run().followed.position(room)
        return await self._call(self._requests.erase(room, known, history, position)) == 1

    async def remove_history(self, room: str) -> None:
        """Forget the room's publications; epoch and newest offset stay.

        Raises:
            BrokerError: if the server does not answer.
        """
        log = self._keys.log(room)
        await self._ask(log, b"DEL", log, self._keys.erased(room))

    async def claim(self, key: str, ttl: float) -> bool:
        """True for the first caller, on any node, within `ttl` seconds.

        Raises:
            BrokerError: if the server does not answer; the claim may be granted then, to nobody.
        """
        name = self._keys.claim(key)
        patience = b"%d" % max(1, int(ttl * 1000))
        return await self._ask(name, b"SET", name, b"1", b"NX", b"PX", patience) is not None

    # Asking the servers

    def _run(self) -> _Running:
        if self._running is None:
            raise BrokerError("the Redis broker is stopped")
        return self._running

    async def _call(self, request: Request) -> Reply:
        servers = self._run().servers
        try:
            return await servers.of(request.channel).commands.run(request)
        except Refusal as refusal:
            if refusal.kind != "MOVED":
                raise
        await servers.moved()
        return await servers.of(request.channel).commands.run(request)

    async def _ask(self, key: bytes, *parts: bytes) -> Reply:
        servers = self._run().servers
        try:
            return await servers.of(key).commands.ask(*parts)
        except Refusal as refusal:
            if refusal.kind != "MOVED":
                raise
        await servers.moved()
        return await servers.of(key).commands.ask(*parts)

    async def _position(self, room: str) -> Position:
        request = self._requests.position(room, self._run().followed.position(room))
        return read_position(await self._call(request))

    async def _repair(self, room: str, history: History, since: Position | None) -> HistoryPage:
        limit = 0 if since is None else None
        return await self.history(room, history, since=since, limit=limit, reverse=False)

    # What comes from the servers

    def _message(self, channel: bytes, data: bytes) -> None:
        running, receiver = self._running, self._receiver
        room = None if running is None else running.rooms.name_of(channel)
        if running is None or receiver is None or room is None:
            return
        position: Position | None = None
        try:
            position, rest = read_place(data)
            publication = envelope.decode(rest).publication(room, position)
        except BrokerError as error:
            self._complain(room, error)
            if position is not None:
                running.followed.seen(room, position)
            return
        if position is not None and room in running.followed:
            running.followed.arrived(publication)
        else:
            # A position is a promise that there is no gap, which only a followed room can keep.
            receiver.publication(
                msgspec.structs.replace(publication, position=None) if position else publication
            )

    def _complain(self, room: str, error: BrokerError) -> None:
        now = time.monotonic()
        if now - self._complained >= COMPLAINT_INTERVAL:
            self._complained = now
            _logger.warning("redis: a message for room %s was ignored: %s", room, error)
