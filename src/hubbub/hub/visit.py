"""A client's stay, from handshake to close frame: what ``async with hub.connection(websocket)`` means."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Never

from starlette.exceptions import WebSocketException
from starlette.websockets import WebSocketDisconnect

from hubbub.connection import Connection
from hubbub.core.errors import BadMessage, BrokerError, CloseCode, Disconnected, Refused

LAST_WORDS = 0.5
"""Seconds that a handler which was cancelled may take to send its close frame."""

_logger = logging.getLogger("hubbub")


class Visit:
    """Async context manager around a handler: how the handler ends decides how the client is closed.

    | the block ends with | the client gets |
    |---|---|
    | nothing, or the client has gone | 1000 |
    | `Refused` or `BadMessage` | ``{"type": "error", "msg": …}``, then the error's code |
    | `BrokerError` | 1013 |
    | Starlette's `WebSocketException` | its code and reason |
    | cancellation | 1001 |
    | any other exception | 1011, and the exception goes on to the server's log |
    """

    __slots__ = ("_connection", "_enter", "_leave")

    def __init__(
        self, enter: Callable[[], Awaitable[Connection]], leave: Callable[[Connection], None]
    ) -> None:
        self._enter: Callable[[], Awaitable[Connection]] | None = enter  # None once entered
        self._leave = leave
        self._connection: Connection | None = None

    if not TYPE_CHECKING:  # to a type checker it stays what cannot be awaited

        def __await__(self) -> Never:
            raise TypeError("hub.connection() is for `async with`; what is awaited is hub.connect()")

    async def __aenter__(self) -> Connection:
        # Not kept for the length of the visit, with all its arguments: there may be many visitors.
        enter, self._enter = self._enter, None
        assert enter is not None, "a visit is made once"
        self._connection = await enter()
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        connection = self._connection
        assert connection is not None
        try:
            return await _end(connection, error)
        finally:
            self._leave(connection)


async def _end(connection: Connection, error: BaseException | None) -> bool:
    """Close as the error deserves; True when it needs no further attention."""
    if isinstance(error, asyncio.CancelledError):
        connection.transport.close(CloseCode.GOING_AWAY)
        # Servers drop the socket when the handler has ended: the close frame has to be out by then.
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await connection.finish()
        return False
    if error is None or (connection.closed and _is_end(error)):
        await connection.close()
        return True
    if isinstance(error, Refused | BadMessage):
        _logger.info("closing %s: %s", connection.id, error)
        await refuse(connection, error)
        return True
    if isinstance(error, BrokerError):
        _logger.error("closing %s: %s: %s", connection.id, type(error).__name__, error)
        await connection.close(CloseCode.TRY_AGAIN_LATER, "try again later")
        return True
    if isinstance(error, WebSocketException):
        await connection.close(error.code, error.reason)
        return True
    await connection.close(CloseCode.INTERNAL_ERROR)
    return False


def _is_end(error: BaseException) -> bool:
    """Whether all that happened is that the client has gone."""
    if isinstance(error, BaseExceptionGroup):  # of a handler with a task group
        return all(_is_end(one) for one in error.exceptions)
    return isinstance(error, Disconnected | WebSocketDisconnect)


async def refuse(connection: Connection, error: Refused | BadMessage) -> None:
    """Tell the client what was wrong, then close with the error's code."""
    connection.refused(error)
    try:
        await connection.send({"type": "error", "msg": str(error)})
    except Disconnected:
        return
    await connection.close(error.code, str(error))
