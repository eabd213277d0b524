"""The numbers that keep one client from harming the others."""

import re
from dataclasses import dataclass
from typing import Final

from hubbub.core.errors import ConfigurationError, InvalidRoomName

_ROOM_NAME: Final = re.compile(r"[A-Za-z0-9_\-:.@/]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a hub. Sizes are in bytes, times in seconds.

    Raises:
        ConfigurationError: if a limit is not positive.
    """

    message_bytes: int = 65_536
    """Largest message taken from a client; a larger one closes 1009."""

    outbox_bytes: int = 1_048_576
    """Most that may wait for one slow client; more closes 1013."""

    inbox_messages: int = 64
    """Most messages read ahead for a handler that is busy; then the client has to wait."""

    send_timeout: float = 10.0
    """How long one write may be stuck before the client is closed 1013."""

    close_timeout: float = 10.0
    """How long a closing connection may take to send what is queued and its close frame."""

    first_message_timeout: float = 10.0
    """How long a client may take to send its token as the first message."""

    first_message_bytes: int = 8_192
    """Largest first message, and largest token, before the client is authenticated."""

    room_name_bytes: int = 255
    """Longest room name."""

    rooms_per_connection: int = 128
    """Most rooms that one connection can be a member of."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"Limits.{name} must be positive")

    def check_room_name(self, name: str) -> None:
        """Accept 1 to `room_name_bytes` of ASCII letters, digits and ``_ - : . @ /``.

        The set has no space, wildcard or control character, so that a name is safe in a log, a key or a
        broker's subject.

        Raises:
            InvalidRoomName: if the name does not fit.
        """
        if len(name) > self.room_name_bytes or not _ROOM_NAME.fullmatch(name):
            raise InvalidRoomName(
                f"Invalid room name: use 1 to {self.room_name_bytes} ASCII letters, digits or _ - : . @ /"
            )
