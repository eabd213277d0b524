"""nats-py's client, which is used nowhere else: connected once, and let go of at once.

It is never left to connect again by itself: that would send, after an outage, publications whose callers were
told that they failed; it would end for good at any error line of the server; and its waits have no jitter.
Nor is its `flush` used: it writes its PING ahead of the publications that still wait to be written.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from nats import errors
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from hubbub.brokers.nats.encryption import Encryption
from hubbub.brokers.nats.options import NatsOptions
from hubbub.core.errors import BrokerError

CONNECT_TIMEOUT: Final = 2
"""Seconds for each step of connecting to one server."""

CLOSE_TIMEOUT: Final = 1.0
"""Seconds for nats-py's own way of closing."""

MAX_UNWRITTEN: Final = 268_435_456
"""Bytes that may wait to be written; those who publish keep far below it."""

MAX_UNREAD: Final = 16_384
"""Messages of one subscription that wait for the event loop; past that they are lost, and repaired."""

MAX_UNREAD_BYTES: Final = 67_108_864

LOST: Final = "the connection to NATS is lost"

_logger = logging.getLogger("hubbub")

Listener: TypeAlias = Callable[[bytes, Mapping[str, str]], None]
"""Gets a message's content and headers."""


class Handle:
    """A subscription."""

    __slots__ = ("_subscription",)

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def end(self) -> None:
        """Hear nothing more of it."""
        try:
            await self._subscription.unsubscribe()
        except errors.Error:
            _logger.debug("a subscription had ended already", exc_info=True)


class Client:
    """One connection.

    Args:
        ended: called with the reason when it is found to have ended; perhaps more than once.
        refused: called when the server has refused something for want of permission.
    """

    def __init__(self, ended: Callable[[str], None], refused: Callable[[], None]) -> None:
        self._ended = ended
        self._refused = refused
        self._client = NatsClient()
        self._used = False  # nats-py cannot close a client that never began to connect

    @property
    def connected(self) -> bool:
        """Whether it is, as far as it knows."""
        return self._client.is_connected

    @property
    def version(self) -> tuple[int, int]:
        """The first two numbers of the server's."""
        version = self._client.connected_server_version
        return version.major, version.minor

    @property
    def discovered(self) -> tuple[str, ...]:
        """The other servers of the cluster, as the server names them: ``host:port``."""
        return tuple(server.netloc for server in self._client.discovered_servers)

    @property
    def heard(self) -> int:
        """How many messages have come."""
        return self._client.stats["in_msgs"]

    async def connect(self, server: str, options: NatsOptions) -> None:
        """Connect to a server that is named ``host:port``.

        Raises:
            BrokerError: if it cannot be reached, does not let us in, or has no TLS where that is a must.
        """
        self._client, self._used = NatsClient(), True
        try:
            async with asyncio.timeout(3 * CONNECT_TIMEOUT):
                await self._connect(server, options)
        except BrokerError:
            await self.abandon()
            raise
        except (errors.Error, OSError, TimeoutError) as error:
            await self.abandon()
            raise BrokerError(str(error) or type(error).__name__) from error

    async def _connect(self, server: str, options: NatsOptions) -> None:
        context = Encryption.begin() if options.tls else None

        def guarded(secret: str | None) -> Callable[[], str] | None:
            def give() -> str:
                if context is not None and not context.used:
                    raise errors.Error("the server does not offer TLS")
                assert secret is not None
                return secret

            return None if secret is None else give

        problems: list[Exception] = []

        async def note(error: Exception) -> None:
            problems.append(error)
            self._note(error)

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
                ping_interval=3_600,  # `Link` is quicker to see that a server is gone
                pending_size=MAX_UNWRITTEN,
                flusher_queue_size=65_536,
                tls=context,
                user=guarded(options.user),
                password=guarded(options.password),
                token=guarded(options.token),
            )
        except errors.NoServersError as error:
            raise BrokerError(f"{server}: {problems[0] if problems else error}") from error
        if context is not None and not context.used:
            raise BrokerError(f"{server} does not offer TLS")

    async def publish(self, subject: str, data: bytes, reply: str, headers: Mapping[str, str] | None) -> None:
        """Hand a message over, to be written.

        Raises:
            BrokerError: if it is larger than the server takes, or the connection has ended.
        """
        try:
            await self._client.publish(subject, data, reply, None if headers is None else dict(headers))
        except errors.MaxPayloadError as error:
            most = self._client.max_payload
            raise BrokerError(f"larger than the {most} bytes that NATS takes") from error
        except (errors.Error, OSError) as error:
            self._look()
            raise BrokerError(f"not sent to NATS: {error or type(error).__name__}") from error

    async def subscribe(self, subject: str, listener: Listener, *, with_subject: bool) -> Handle:
        """Hear a subject.

        Args:
            subject: what to hear.
            listener: called on the event loop with each message; what it raises is logged.
            with_subject: put the message's subject into the headers, as "Subject".

        Raises:
            BrokerError: if the connection has ended.
        """

        async def arrived(message: Msg) -> None:
            headers: dict[str, str] = message.headers or {}
            listener(message.data, {**headers, "Subject": message.subject} if with_subject else headers)

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

    async def close(self) -> None:
        """Close it in its own way, as far as that goes in a second."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._client.close()
        except Exception:
            _logger.debug("the connection to NATS did not close well", exc_info=True)

    async def abandon(self) -> None:
        """Let the socket go at once, and end the client's tasks.

        nats-py's `close` waits for a frozen server to read what is left, and stops halfway if that fails; so
        this takes what has no public name there.
        """
        if not self._used:
            return
        client: Any = self._client
        subscriptions = [*client._subs.values()]
        writer = getattr(client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        await self.close()
        tasks = [one._wait_for_msgs_task for one in subscriptions]
        tasks += [client._reading_task, client._flusher_task, client._ping_interval_task]
        tasks = [task for task in tasks if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _closed(self) -> None:
        self._look()

    def _look(self) -> None:
        if not self.connected:
            self._ended(LOST)

    def _note(self, error: Exception) -> None:
        if isinstance(error, errors.UnexpectedEOF):
            self._ended("the NATS server has closed the connection")
        elif "permissions violation" in str(error).lower():
            self._refused()
            _logger.error("NATS: %s", error)
        elif isinstance(error, errors.SlowConsumerError):
            _logger.warning("NATS: messages of %s came faster than this process reads", error.subject)
        elif isinstance(error, OSError | errors.Error | TimeoutError):
            _logger.debug("NATS: %s", error)
        else:
            _logger.error("NATS: a message could not be handled", exc_info=error)
