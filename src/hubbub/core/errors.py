"""The error tree and the WebSocket close codes.

Every error knows the close code that its cause deserves and whether a client may try again::

    HubbubError
    ├── ConfigurationError        a wrong argument, option or URL
    ├── HubNotRunning             the hub is used outside its lifespan
    ├── Disconnected              the connection is gone
    ├── Refused                   the client may not do this
    │   ├── Unauthorized          no valid credentials
    │   ├── OriginRefused         the page's origin is not allowed
    │   ├── InvalidRoomName
    │   └── LimitReached          one more than the limits allow
    ├── BadMessage                what the client sent cannot be used
    │   ├── MessageTooBig
    │   ├── WrongMessageType
    │   └── InvalidMessage
    ├── Overloaded                no place for one more client, for now
    ├── SlowConsumer              the client does not read fast enough
    └── BrokerError               the broker did not take the publication
        └── HistoryGone           the position is no longer (or not yet) in the history
"""

from enum import IntEnum
from typing import ClassVar


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455 section 7.4.1 and the IANA registry) and the hub's own."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    TOKEN_EXPIRED = 4401


class HubbubError(Exception):
    """Base of all errors raised by Hubbub."""

    code: int = CloseCode.INTERNAL_ERROR
    """The close code a client sees when this error ends its connection."""

    retry: ClassVar[bool] = False
    """Whether the same attempt can succeed later."""


class ConfigurationError(HubbubError, ValueError):
    """An argument, option or URL that cannot work. Raised early, at construction where possible."""


class HubNotRunning(HubbubError, RuntimeError):
    """The hub was used before its lifespan began, after it ended, or in another event loop than its own."""

    def __init__(
        self,
        why: str = (
            "The hub is not running: use FastAPI(lifespan=hub.lifespan) or `async with hub:`."
            " Nobody runs the lifespan of a mounted app, nor that of TestClient(app) without `with`"
        ),
    ) -> None:
        super().__init__(why)


class Disconnected(HubbubError, ConnectionError):
    """The connection is closed; nothing can be sent or received on it.

    `code` and `reason` say how it ended: the peer's close frame, the hub's own, or 1006 for a lost link.
    """

    code: int = CloseCode.ABNORMAL

    def __init__(self, code: int = CloseCode.ABNORMAL, reason: str = "") -> None:
        super().__init__(f"disconnected ({int(code)}{': ' + reason if reason else ''})")
        self.code = code
        self.reason = reason


class Refused(HubbubError):
    """The client may not do what it asked for. `str(error)` is safe to show to the client."""

    code = CloseCode.POLICY_VIOLATION


class Unauthorized(Refused):
    """No valid credentials. The client is told only "Unauthorized"; `detail` is for the log."""

    def __init__(self, detail: str = "no credentials") -> None:
        super().__init__("Unauthorized")
        self.detail = detail


class OriginRefused(Refused):
    """The handshake came from a page of an origin that is not allowed (RFC 6455 section 10.2)."""


class InvalidRoomName(Refused):
    """A room name that breaks the rule of `Limits.check_room_name`."""


class LimitReached(Refused):
    """One more than `Limits` allow."""


class BadMessage(HubbubError):
    """The client sent something that cannot be used. `str(error)` is safe to show to the client."""

    code = CloseCode.INVALID_PAYLOAD


class MessageTooBig(BadMessage):
    """A message over `Limits.message_bytes`."""

    code = CloseCode.MESSAGE_TOO_BIG


class WrongMessageType(BadMessage):
    """Text where binary was expected, or the other way round."""

    code = CloseCode.UNSUPPORTED_DATA


class InvalidMessage(BadMessage):
    """Text that is not the JSON it should be."""


class Overloaded(HubbubError):
    """There is no place for one more client, or it comes too often. `str(error)` is safe to show to it."""

    code = CloseCode.TRY_AGAIN_LATER
    retry = True


class SlowConsumer(HubbubError):
    """The client's outbox grew past `Limits.outbox_bytes`, or one write took longer than allowed."""

    code = CloseCode.TRY_AGAIN_LATER
    retry = True


class BrokerError(HubbubError):
    """The broker did not accept the operation: a publication that raises this was not published."""

    code = CloseCode.TRY_AGAIN_LATER
    retry = True


class HistoryGone(BrokerError):
    """What follows the asked position is not (or not all) in the history any more."""

    retry = False
