"""The protocol's codes: errors of a command, ends of a subscription, ends of a connection.

Where the numbers come from: the page "Client protocol codes" of the protocol's documentation.
"""

from enum import IntEnum
from typing import Final, Self

import msgspec

from hubbub.core.errors import (
    BadMessage,
    HistoryGone,
    HubbubError,
    InvalidRoomName,
    LimitReached,
    Refused,
    SlowConsumer,
    Unauthorized,
)

MAX_REASON_BYTES: Final = 123
"""Longest reason of a close frame (RFC 6455 section 5.5)."""


class ClientError(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a reply says instead of a result."""

    code: int
    """100 to 113 as in `ErrorCode`; an application's own are 400 to 1999."""

    message: str
    temporary: bool = False
    """Whether the client may send the same command again."""


class ErrorCode(IntEnum):
    """Why a command was refused. An SDK tries again if it is temporary, or after 109 with a new token."""

    text: str
    temporary: bool

    def __new__(cls, code: int, text: str, temporary: bool = False) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.text = text
        member.temporary = temporary
        return member

    INTERNAL = 100, "internal server error", True
    UNAUTHORIZED = 101, "unauthorized"
    UNKNOWN_CHANNEL = 102, "unknown channel"
    PERMISSION_DENIED = 103, "permission denied"
    METHOD_NOT_FOUND = 104, "method not found"
    ALREADY_SUBSCRIBED = 105, "already subscribed"
    LIMIT_EXCEEDED = 106, "limit exceeded"
    BAD_REQUEST = 107, "bad request"
    NOT_AVAILABLE = 108, "not available"
    TOKEN_EXPIRED = 109, "token expired"
    EXPIRED = 110, "expired"
    TOO_MANY_REQUESTS = 111, "too many requests", True
    UNRECOVERABLE_POSITION = 112, "unrecoverable position"
    CONCURRENT_PAGINATION = 113, "concurrent pagination", True

    @property
    def error(self) -> ClientError:
        """As it stands in a reply."""
        return ClientError(int(self), self.text, self.temporary)


class UnsubscribeCode(IntEnum):
    """Why the server ended a subscription. After 2500 and above an SDK subscribes again."""

    text: str

    def __new__(cls, code: int, text: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    SERVER = 2000, "server unsubscribe"
    INSUFFICIENT_STATE = 2500, "insufficient state"
    EXPIRED = 2501, "subscription expired"
    STATE_INVALIDATED = 2502, "state invalidated"


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """How a connection ends: on a WebSocket its close frame, elsewhere a last push."""

    code: int
    reason: str = ""

    @property
    def reconnect(self) -> bool:
        """Whether an SDK comes back by itself. Codes under 3000 are the transport's, which it retries."""
        return not (3500 <= self.code <= 3999 or 4500 <= self.code <= 4999)

    @property
    def short_reason(self) -> str:
        """The reason, cut to what a close frame holds."""
        return self.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


class DisconnectCode(IntEnum):
    """Why the server ended a connection: 3000 to 3499 may come back, 3500 to 3999 may not."""

    text: str

    def __new__(cls, code: int, text: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.text = text
        return member

    CONNECTION_CLOSED = 3000, "connection closed"
    SHUTDOWN = 3001, "shutdown"
    SERVER_ERROR = 3004, "internal server error"
    EXPIRED = 3005, "connection expired"
    SUBSCRIPTION_EXPIRED = 3006, "subscription expired"
    SLOW = 3008, "slow"
    WRITE_ERROR = 3009, "write error"
    INSUFFICIENT_STATE = 3010, "insufficient state"
    FORCE_RECONNECT = 3011, "force reconnect"
    NO_PONG = 3012, "no pong"
    TOO_MANY_REQUESTS = 3013, "too many requests"
    STATE_INVALIDATED = 3014, "state invalidated"
    INVALID_TOKEN = 3500, "invalid token"
    BAD_REQUEST = 3501, "bad request"
    STALE = 3502, "stale"
    FORCE_NO_RECONNECT = 3503, "force disconnect"
    CONNECTION_LIMIT = 3504, "connection limit"
    CHANNEL_LIMIT = 3505, "channel limit"
    INAPPROPRIATE_PROTOCOL = 3506, "inappropriate protocol"
    PERMISSION_DENIED = 3507, "permission denied"
    NOT_AVAILABLE = 3508, "not available"
    TOO_MANY_ERRORS = 3509, "too many errors"

    @property
    def disconnect(self) -> Disconnect:
        """The code with its text."""
        return Disconnect(int(self), self.text)


_ERRORS: Final[tuple[tuple[type[HubbubError], ErrorCode], ...]] = (
    (Unauthorized, ErrorCode.UNAUTHORIZED),
    (InvalidRoomName, ErrorCode.BAD_REQUEST),
    (LimitReached, ErrorCode.LIMIT_EXCEEDED),
    (Refused, ErrorCode.PERMISSION_DENIED),
    (BadMessage, ErrorCode.BAD_REQUEST),
    (HistoryGone, ErrorCode.UNRECOVERABLE_POSITION),
)

_DISCONNECTS: Final[dict[int, DisconnectCode]] = {
    ErrorCode.UNAUTHORIZED: DisconnectCode.PERMISSION_DENIED,
    ErrorCode.PERMISSION_DENIED: DisconnectCode.PERMISSION_DENIED,
    ErrorCode.BAD_REQUEST: DisconnectCode.BAD_REQUEST,
    ErrorCode.NOT_AVAILABLE: DisconnectCode.NOT_AVAILABLE,
    ErrorCode.METHOD_NOT_FOUND: DisconnectCode.NOT_AVAILABLE,
    ErrorCode.TOO_MANY_REQUESTS: DisconnectCode.TOO_MANY_REQUESTS,
    ErrorCode.LIMIT_EXCEEDED: DisconnectCode.TOO_MANY_REQUESTS,
}


def error_for(error: BaseException) -> ClientError | Disconnect:
    """What a client is told of an error of the hub.

    `SlowConsumer` ends the connection. `BrokerError`, and everything that is not named in the tree of the
    hub's errors, is 100: our fault, and worth another try. Only codes and their fixed texts go out.
    """
    if isinstance(error, SlowConsumer):
        return DisconnectCode.SLOW.disconnect
    for kind, code in _ERRORS:
        if isinstance(error, kind):
            return code.error
    return ErrorCode.INTERNAL.error


def disconnect_for(error: ClientError) -> Disconnect:
    """How a connection ends because of an error that no reply can tell."""
    code = _DISCONNECTS.get(error.code, DisconnectCode.SERVER_ERROR)
    return code.disconnect
