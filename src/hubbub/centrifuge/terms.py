"""What a server offers to every client."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hubbub.core.heartbeat import Heartbeat
from hubbub.core.limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Limits and times of the sessions of one transport. Times are in seconds."""

    limits: Limits = field(default_factory=Limits)
    """`first_message_timeout` and `first_message_bytes` hold until the client is authenticated,
    `rooms_per_connection` for subscriptions; past `inbox_messages` open commands a session is `busy`."""

    heartbeat: Heartbeat | None = field(default_factory=Heartbeat)
    """Pings and pongs as messages; None for a transport that has its own."""

    refresh_grace: float = 25.0
    """How long a connection lives on after its token has expired, for the client to bring a new one."""

    history_limit: int = 300
    """Most publications in one answer to a history command."""

    version: str = ""
    """The server's version, if clients shall know it."""

    node: str = ""
    """Which node this is, for the transports that send their commands by another request."""

    announce_close: bool = False
    """The transport's end carries no code: a disconnect push comes before it."""

    check_channel: Callable[[str], None] | None = None
    """Refuses names by raising a `HubbubError`; `Limits.check_room_name` unless given."""

    def check(self, channel: str) -> None:
        """Refuse a channel's name. Raises `HubbubError`."""
        (self.check_channel or self.limits.check_room_name)(channel)
