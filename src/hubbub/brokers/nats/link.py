"""One connection to a NATS server: requests, subscriptions, and noticing that it is lost.

The only file that imports nats-py. A connection that is lost is never used again, a new `Link` replaces it,
although nats-py can reconnect by itself. Its own way would send, after the outage, publications whose callers
were told that they failed; it would end for good at any error line of the server; and its waits have no
jitter. Nor is its `flush` used: it writes its PING ahead of the publications that still wait to be written.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hubbub.brokers.nats.calls import Calls, NotBegun, Reply
from hubbub.brokers.nats.encryption import Encryption
from hubbub.brokers.nats.options import NatsOptions
from hubbub.core.errors import BrokerError, ConfigurationError

OLDEST_SERVER: Final = (2, 12)
CONNECT_TIMEOUT: Final = 2
"""Seconds for each step of connecting to one server."""

LOOK: Final = 0.5
"""Seconds between looks whether the server is there."""

SILENCE: Final = 2.0
"""Seconds without a sign of life after which the server counts as frozen."""

PATIENCE: Final = (0.25, 0.5, 1.0, 1.0, 1.0, 1.25)
"""Seconds in which the answer to what is only read has to begin; after each but the last it is asked anew."""

MAX_UNWRITTEN: Final = 268_435_456
"""Bytes that may wait to be written; those who publish keep far below it."""

MAX_UNREAD: Final = 16_384
"""Messages of one subscription that wait for the event loop; past that they are lost, and repaired."""

MAX_UNREAD_BYTES: Final = 67_108_864

_logger = logging.getLogger("hubbub")

Listener: TypeAlias = Callable[[bytes, Mapping[str, str]], None]
"""Gets a message's content and headers."""


class Handle:
    """A subscription."""

    __slots__ = ("subscription",)

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription


class Link:
    """A connection that begins with `open`, and ends with `close` or by being lost.

    Args:
        options: where to connect.
        lost: called once when the connection is lost; not after `close`.
    """

    def __init__(self, options: NatsOptions, lost: Callable[[], None]) -> None:
        self._options = options
        self._on_lost = lost
        self._client = Client()
        self._began = False  # whether the client was used; nats-py cannot close one that was not
        self._inbox = f"{options.prefix}.reply.{secrets.token_hex(12)}"
        self._calls = Calls(self._inbox)
        self._echo: asyncio.Future[None] | None = None  # of those who asked since the last one was sent
        self._refused = 0  # permission errors of this connection
        self._watching: asyncio.Task[None] | None = None
        self._dropped: list[Handle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.up = False
        """Whether it is open and, as far as it knows, the server is there."""

    @property
    def max_payload(self) -> int:
        """Bytes of the largest message that the server takes."""
        return self._client.max_payload

    @property
    def discovered(self) -> tuple[str, ...]:
        """The other servers of the cluster, as the server names them: ``host:port``."""
        return tuple(server.netloc for server in self._client.discovered_servers)

    async def open(self, servers: tuple[str, ...]) -> None:
        """Connect to one of these servers.

        Raises:
            BrokerError: if none of them can be reached, or none lets us in.
            ConfigurationError: if the one that answers is too old, or has no TLS where that is a must.
        """
        problem: Exception | None = None
        for server in random.sample(servers, len(servers)):
            try:
                await self._connect(server)
                break
            except (errors.Error, OSError, TimeoutError, BrokerError) as error:
                problem = error
                await self._abandon()
        else:
            raise BrokerError(f"no NATS server can be reached: {problem or 'none is known'}") from problem
        version = self._client.connected_server_version
        if (version.major, version.minor) < OLDEST_SERVER:
            await self._abandon()
            wanted = ".".join(map(str, OLDEST_SERVER))
            raise ConfigurationError(f"this is NATS {version.major}.{version.minor}; {wanted} is needed")
        await self._begin()

    async def _connect(self, server: str) -> None:
        options = self._options
        self._client, self._began = Client(), True
        context = Encryption.begin() if options.tls else None

        def guarded(secret: str) -> Callable[[], str]:
            def give() -> str:
                if context is not None and not context.used:
                    raise errors.Error("the server does not offer TLS")
                return secret

            return give

        problems: list[Exception] = []

        async def note(error: Exception) -> None:
            problems.append(error)
            self._note(error)

        async with asyncio.timeout(3 * CONNECT_TIMEOUT):
            try:
                await self._client.connect(
                    [f"{'tls' if options.tls else 'nats'}://{server}"],
                    name="hubbub",
                    error_cb=note,
                    closed_cb=self._closed,
                    allow_reconnect=False,
                    connect_timeout=CONNECT_TIMEOUT,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    ping_interval=3_600,  # `_watch` is quicker
                    pending_size=MAX_UNWRITTEN,
                    flusher_queue_size=65_536,
                    tls=context,
                    user=None if options.user is None else guarded(options.user),
                    password=None if options.password is None else guarded(options.password),
                    token=None if options.token is None else guarded(options.token),
                )
            except errors.NoServersError as error:
                raise BrokerError(f"{server}: {problems[0] if problems else error}") from error
        if context is not None and not context.used:
            raise BrokerError(f"{server} does not offer TLS")

    async def _begin(self) -> None:
        self.up = True
        try:
            await self.subscribe(f"{self._inbox}.*", self._replied, with_subject=True)
            await self.barrier()
        except BaseException:
            await self.close()
            raise
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """End the connection; everything that waits for an answer fails."""
        was_up = self.up
        self._end(None)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if was_up:
            await self._close_client()
        await self._abandon()
        for task in self._tasks:
            task.cancel()

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Hand a message to the connection. `barrier` tells whether the server has it.

        Raises:
            BrokerError: if the connection is lost, or the message is larger than the server takes.
        """
        await self._send(subject, data, headers, "")

    async def request(
        self, subject: str, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a message and wait for the answer.

        Raises:
            NoResponders: if nothing answers to the subject.
            BrokerError: if there is no answer in time, or the connection is lost meanwhile.
        """
        return (await self._calls.ask(lambda reply: self._send(subject, data, headers, reply)))[0]

    async def request_many(self, subject: str, data: bytes) -> list[Reply]:
        """Read something: send a message and wait for all answers; the last is a status. Raises as `request`.

        It goes to any of the servers that have the stream, and a frozen one stays among them for a minute.
        """
        for begin in PATIENCE:
            try:
                return await self._calls.ask(partial(self._send, subject, data, None), many=True, begin=begin)
            except NotBegun:
                continue
        raise BrokerError(f"NATS did not answer within {sum(PATIENCE)} s")

    async def barrier(self) -> None:
        """Return once the server has taken all that was sent before. Calls in one tick share one echo.

        Raises:
            BrokerError: if it did not, or if it refused something meanwhile for want of permission.
        """
        if not self.up:
            raise BrokerError("not connected to NATS")
        if self._echo is None:
            self._echo = asyncio.get_running_loop().create_future()
            self._own(self._send_echo(self._refused))
        await asyncio.shield(self._echo)

    async def subscribe(self, subject: str, listener: Listener, *, with_subject: bool = False) -> Handle:
        """Hear a subject. `barrier` tells when the server knows.

        Args:
            subject: what to hear.
            listener: called on the event loop with each message; what it raises is logged.
            with_subject: put the message's subject into the headers, as "Subject".

        Raises:
            BrokerError: if the connection is lost.
        """

        async def arrived(message: Msg) -> None:
            headers: dict[str, str] = message.headers or {}
            listener(message.data, {**headers, "Subject": message.subject} if with_subject else headers)

        if not self.up:
            raise BrokerError("not connected to NATS")
        try:
            return Handle(
                await self._client.subscribe(
                    subject,
                    cb=arrived,
                    pending_msgs_limit=MAX_UNREAD,
                    pending_bytes_limit=MAX_UNREAD_BYTES,
                )
            )
        except (errors.Error, OSError) as error:
            raise BrokerError(f"not subscribed: {error}") from error

    def drop(self, handle: Handle) -> None:
        """End a subscription, soon."""
        self._dropped.append(handle)
        if len(self._dropped) == 1:
            self._own(self._drop_all())

    async def _drop_all(self) -> None:
        while self._dropped and self.up:
            handle = self._dropped.pop()
            try:
                await handle.subscription.unsubscribe()
            except errors.Error:
                _logger.debug("a subscription had ended already", exc_info=True)
        self._dropped.clear()

    async def _send(self, subject: str, data: bytes, headers: Mapping[str, str] | None, reply: str) -> None:
        if not self.up:
            raise BrokerError("not connected to NATS")
        try:
            await self._client.publish(subject, data, reply, None if headers is None else dict(headers))
        except errors.MaxPayloadError as error:
            raise BrokerError(f"larger than the {self.max_payload} bytes that NATS takes") from error
        except (errors.Error, OSError) as error:
            self._look()
            raise BrokerError(f"not sent to NATS: {error or type(error).__name__}") from error

    async def _send_echo(self, refused: int) -> None:
        await asyncio.sleep(0)  # until all who publish in this tick have
        echo, self._echo = self._echo, None
        if echo is None:  # the link has ended meanwhile
            return
        try:
            await self._calls.ask(lambda inbox: self._send(inbox, b"", None, ""))
            if self._refused > refused:
                raise BrokerError("the NATS server does not permit it")
            echo.set_result(None)
        except BrokerError as error:
            echo.set_exception(error)
        finally:
            if not echo.done():
                echo.set_exception(BrokerError("the broker stops"))
            echo.exception()  # who waited for it may have been cancelled

    def _replied(self, data: bytes, headers: Mapping[str, str]) -> None:
        self._calls.arrived(headers["Subject"], data, headers)

    async def _watch(self) -> None:
        """Notice a server that is gone or frozen: no message at all, and no echo of ours."""
        while self.up:
            heard = self._client.stats["in_msgs"]
            await asyncio.sleep(LOOK)
            self._look()
            if self.up and heard == self._client.stats["in_msgs"] and not await self._answers(heard):
                self._end(f"the NATS server was silent for {SILENCE} s")

    async def _answers(self, heard: int) -> bool:
        try:
            async with asyncio.timeout(SILENCE):
                await self.barrier()
        except TimeoutError:
            await asyncio.sleep(0.05)  # it may be this process that was away: what it was sent is read first
            return bool(heard != self._client.stats["in_msgs"])
        except BrokerError:
            return self._client.is_connected
        return True

    async def _closed(self) -> None:
        self._look()

    def _look(self) -> None:
        if not self._client.is_connected:
            self._end("the connection to NATS is lost")

    def _end(self, reason: str | None) -> None:
        if not self.up:
            return
        self.up = False
        error = BrokerError(reason or "the broker stops")
        self._calls.fail(error)
        if self._echo is not None:  # `close` may cancel the task that sends it before its first step
            self._echo.set_exception(error)
            self._echo.exception()
            self._echo = None
        if reason is not None:
            _logger.warning("%s", reason)
            self._on_lost()

    def _note(self, error: Exception) -> None:
        if isinstance(error, errors.UnexpectedEOF):
            self._end("the NATS server has closed the connection")
        elif "permissions violation" in str(error).lower():
            self._refused += 1
            _logger.error("NATS: %s", error)
        elif isinstance(error, errors.SlowConsumerError):
            _logger.warning("NATS: messages of %s came faster than this process reads", error.subject)
        elif isinstance(error, OSError | errors.Error | TimeoutError):
            _logger.debug("NATS: %s", error)
        else:
            _logger.error("NATS: a message could not be handled", exc_info=error)

    async def _abandon(self) -> None:
        """Let the socket go at once, and end the client's tasks.

        `Client.close` waits for a frozen server to read what is left, and stops halfway if that fails; so
        this takes what nats-py has no public name for.
        """
        if not self._began:
            return
        client: Any = self._client
        subscriptions = [*client._subs.values()]
        writer = getattr(client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        await self._close_client()
        tasks = [one._wait_for_msgs_task for one in subscriptions]
        tasks += [client._reading_task, client._flusher_task, client._ping_interval_task]
        tasks = [task for task in tasks if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close_client(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._client.close()
        except Exception:
            _logger.debug("the connection to NATS did not close well", exc_info=True)

    def _own(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("NATS: a task failed", exc_info=task.exception())
