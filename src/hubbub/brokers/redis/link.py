"""One open connection to a server. The only module that knows the client library."""

import asyncio
from contextlib import suppress
from typing import Self, TypeAlias

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from hubbub.brokers.redis.greeting import unfriendly_greeting
from hubbub.brokers.redis.url import Address, Login, Settings
from hubbub.core.errors import BrokerError

Reply: TypeAlias = "bytes | int | list[Reply] | Refusal | None"
"""What a server answers: https://redis.io/docs/latest/develop/reference/protocol-spec/ (RESP2)."""


_KINDS = (  # where the library has taken the first word off; a MovedError is an AskError, too
    (NoScriptError, "NOSCRIPT"),
    (ReadOnlyError, "READONLY"),
    (MovedError, "MOVED"),
    (AskError, "ASK"),
    (TryAgainError, "TRYAGAIN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (MasterDownError, "MASTERDOWN"),
)


class Refusal(BrokerError):
    """A server's error answer; what was asked for was not done. `kind` is its first word."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"the Redis server refused: {kind} {text}")
        self.kind = kind


def packed(*parts: bytes) -> bytes:
    """A command as it goes on the wire."""
    return b"*%d\r\n" % len(parts) + bulk(*parts)


def bulk(*parts: bytes) -> bytes:
    """The parts of a command as they go on the wire."""
    return b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class Link:
    """One open connection. One task may send and one may receive; neither has a timeout of its own."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        # The library forgets its own where a send was cancelled.
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def open(cls, address: Address, settings: Settings, login: Login, db: int = 0) -> Self:
        """Connect, log in and select the database.

        Raises:
            BrokerError: if that does not work within the settings' `connect_timeout`.
        """
        link = cls(_connection(address, settings, login, db))
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await link._connection.connect()  # type: ignore[no-untyped-call]
            if (writer := link._connection._writer) is not None:
                link._transport = writer.transport
        except BaseException as error:
            await link.close()
            if isinstance(error, AuthenticationError | AuthorizationError):
                raise BrokerError(f"the Redis server at {address} refused the login") from error
            if isinstance(error, TimeoutError):
                raise BrokerError(f"the Redis server at {address} does not answer") from error
            if isinstance(error, RedisError | OSError | ValueError):
                said = None if settings.tls else await unfriendly_greeting(address)
                raise BrokerError(f"no link to the Redis server at {address}: {said or error}") from error
            raise
        return link

    async def send(self, data: bytes) -> None:
        """Write packed commands; waits while the server reads too slowly.

        Raises:
            BrokerError: if the link is lost.
        """
        try:
            await self._connection.send_packed_command(data, check_health=False)
        except (RedisError, OSError) as error:
            raise BrokerError(f"the link to the Redis server was lost: {error}") from error

    async def receive(self) -> Reply:
        """The next answer. An error answer is returned, not raised.

        Raises:
            BrokerError: if the link is lost.
        """
        try:
            reply: Reply = await self._connection.read_response(
                disable_decoding=True,
                disconnect_on_error=False,  # a disconnected connection would open itself again to send
            )
        except ResponseError as error:
            return _refusal(error)
        except (RedisError, OSError) as error:
            raise BrokerError(f"the link to the Redis server was lost: {error}") from error
        return reply

    async def ask(self, *parts: bytes) -> Reply:
        """Send one command and wait for its answer, while nobody else uses the link.

        Raises:
            BrokerError: if the link is lost, or the server refuses.
        """
        await self.send(packed(*parts))
        reply = await self.receive()
        if isinstance(reply, Refusal):
            raise reply
        return reply

    async def ask_within(self, seconds: float, *parts: bytes) -> Reply:
        """Like `ask`; a server that takes longer than `seconds` raises `BrokerError` too."""
        try:
            async with asyncio.timeout(seconds):
                return await self.ask(*parts)
        except TimeoutError as error:
            raise BrokerError("the Redis server does not answer") from error

    async def close(self) -> None:
        """End it at once; what a frozen server has not read is thrown away."""
        writer = self._connection._writer
        for transport in (self._transport, writer.transport if writer else None):
            if transport is not None:
                transport.abort()  # the library's own way would keep unsent bytes until the server reads
        with suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)
        # A transport lets go of its socket in the loop's next turn, and there may be no later one than this.
        await asyncio.sleep(0)


def _connection(address: Address, settings: Settings, login: Login, db: int) -> AbstractConnection:
    username, password, patience = login.username, login.password, settings.connect_timeout
    if address.path:
        return UnixDomainSocketConnection(
            path=address.path,
            db=db,
            username=username,
            password=password,
            socket_timeout=None,
            socket_connect_timeout=patience,
            protocol=2,
        )
    if settings.tls is None:
        return Connection(
            host=address.host,
            port=address.port,
            db=db,
            username=username,
            password=password,
            socket_timeout=None,
            socket_connect_timeout=patience,
            protocol=2,
        )
    return SSLConnection(
        host=address.host,
        port=address.port,
        db=db,
        username=username,
        password=password,
        socket_timeout=None,
        socket_connect_timeout=patience,
        protocol=2,
        ssl_cert_reqs="required" if settings.tls.verify else "none",
        ssl_check_hostname=settings.tls.verify,
        ssl_ca_certs=settings.tls.ca_file,
        ssl_certfile=settings.tls.cert_file,
        ssl_keyfile=settings.tls.key_file,
    )


def _refusal(error: ResponseError) -> Refusal:
    text = str(error)
    for kind, name in _KINDS:
        if isinstance(error, kind):
            return Refusal(name, text.removeprefix(name).strip())
    # A script on a replica of Redis 6.2 fails with the reason somewhere inside.
    return Refusal("READONLY" if "READONLY" in text else "ERR", text)
