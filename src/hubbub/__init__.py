"""Hubbub: the realtime hub for FastAPI."""

from hubbub.application import Hub
from hubbub.connection import Connection
from hubbub.core.errors import (
    BadMessage,
    BrokerError,
    CloseCode,
    ConfigurationError,
    Disconnected,
    HistoryGone,
    HubbubError,
    HubNotRunning,
    InvalidMessage,
    InvalidRoomName,
    LimitReached,
    MessageTooBig,
    OriginRefused,
    Overloaded,
    Refused,
    SlowConsumer,
    Unauthorized,
    WrongMessageType,
)
from hubbub.core.figures import ConnectionFigures, Distribution, Figures, RoomFigures
from hubbub.core.heartbeat import Heartbeat
from hubbub.core.history import History
from hubbub.core.limits import Limits
from hubbub.core.messages import Publication
from hubbub.core.options import Allow, Delta
from hubbub.core.outbox import Overflow
from hubbub.core.positions import BEGINNING, Position
from hubbub.core.protection import Protection
from hubbub.core.rates import Rate
from hubbub.core.users import User
from hubbub.hub.listening import Listener

__version__ = "0.1.0"

__all__ = [
    "BEGINNING",
    "Allow",
    "BadMessage",
    "BrokerError",
    "CloseCode",
    "ConfigurationError",
    "Connection",
    "ConnectionFigures",
    "Delta",
    "Disconnected",
    "Distribution",
    "Figures",
    "Heartbeat",
    "History",
    "HistoryGone",
    "Hub",
    "HubNotRunning",
    "HubbubError",
    "InvalidMessage",
    "InvalidRoomName",
    "LimitReached",
    "Limits",
    "Listener",
    "MessageTooBig",
    "OriginRefused",
    "Overflow",
    "Overloaded",
    "Position",
    "Protection",
    "Publication",
    "Rate",
    "Refused",
    "RoomFigures",
    "SlowConsumer",
    "Unauthorized",
    "User",
    "WrongMessageType",
    "__version__",
]
