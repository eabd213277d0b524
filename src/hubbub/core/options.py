"""What a room is like, by the pattern of its name."""

from dataclasses import dataclass
from enum import Enum
from typing import TypedDict

from hubbub.core.errors import ConfigurationError
from hubbub.core.history import History
from hubbub.core.outbox import Overflow
from hubbub.core.patterns import Patterns


class Allow(Enum):
    """Who may do something in a room. It binds clients of the Centrifuge protocol, not your own handlers."""

    NOBODY = "nobody"
    """Only the server."""

    TOKEN = "token"
    """Who shows a subscription token for the room."""

    SUBSCRIBER = "subscriber"
    """Who is in the room."""

    USER = "user"
    """Every authenticated user."""

    ANYONE = "anyone"
    """Every client."""


class Delta(Enum):
    """How publications are shortened for clients that ask for it."""

    FOSSIL = "fossil"
    """By what has changed since the one before, in the format of the Fossil version control system."""


_OF_HISTORIES = (
    *("force_recovery", "force_positioning", "allow_recovery", "allow_positioning"),
    *("cache", "delta"),
)

_CHOICES: dict[str, type[Enum]] = {
    "overflow": Overflow,
    "delta": Delta,
    "allow_subscribe": Allow,
    "allow_publish": Allow,
    "allow_history": Allow,
    "allow_presence": Allow,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    """Options of a room.

    Raises:
        ConfigurationError: for options that cannot work together, or a value that is none of the choices.
    """

    history: History | None = None
    """What it remembers; None for nothing."""

    overflow: Overflow = Overflow.DISCONNECT
    """What happens to a member that reads too slowly."""

    presence: bool = False
    """Whether it is known who is in the room, on all nodes."""

    join_leave: bool = False
    """Whether members that ask for it are told who comes and goes. Needs `presence`."""

    force_push_join_leave: bool = False
    """Whether they are told without asking."""

    force_recovery: bool = False
    """Whether clients always resume with what they missed. Needs `history`."""

    force_positioning: bool = False
    """Whether clients always notice a loss. Needs `history`."""

    allow_recovery: bool = False
    """Whether a client may ask to resume, as who may read the history may anyway. Needs `history`."""

    allow_positioning: bool = False
    """The same for noticing a loss. Needs `history`."""

    cache: bool = False
    """Whether a client that comes needs only the newest publication. Needs `history`."""

    delta: Delta | None = None
    """Whether clients may ask for publications as deltas. Needs `history`."""

    allow_tags_filter: bool = False
    """Whether a client may ask for only those publications whose tags fit a filter."""

    allow_subscribe: Allow = Allow.TOKEN
    """Who may join."""

    allow_publish: Allow = Allow.NOBODY
    """Who may publish."""

    allow_history: Allow = Allow.NOBODY
    """Who may read the history."""

    allow_presence: Allow = Allow.NOBODY
    """Who may ask who is there."""

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            chosen = getattr(self, name)
            if chosen is not None and not isinstance(chosen, kind):  # a text, as in hubbub.toml
                known = ", ".join(f"{kind.__name__}.{one.name}" for one in kind)
                raise ConfigurationError(f"{name} is one of {known}, not {chosen!r}")
        for name in _OF_HISTORIES:
            if getattr(self, name) and self.history is None:
                raise ConfigurationError(f"{name} needs a history")
        if (self.join_leave or self.force_push_join_leave) and not self.presence:
            raise ConfigurationError("join_leave needs presence")
        if self.allow_subscribe is Allow.SUBSCRIBER:
            raise ConfigurationError("allow_subscribe cannot be 'subscriber'")


class RoomSettings(TypedDict, total=False):
    """The fields of `RoomOptions`, as arguments of `Hub.room`."""

    history: History | None
    overflow: Overflow
    presence: bool
    join_leave: bool
    force_push_join_leave: bool
    force_recovery: bool
    force_positioning: bool
    allow_recovery: bool
    allow_positioning: bool
    cache: bool
    delta: Delta | None
    allow_tags_filter: bool
    allow_subscribe: Allow
    allow_publish: Allow
    allow_history: Allow
    allow_presence: Allow


class RoomPatterns(Patterns[RoomOptions]):
    """Options by name pattern; the first that fits counts."""

    __slots__ = ("_default",)

    def __init__(self, default: RoomOptions | None = None) -> None:
        super().__init__()
        self._default = default or RoomOptions()

    def options(self, room: str) -> RoomOptions:
        """The options of the room of that name; the default ones if no pattern fits."""
        return self.find(room) or self._default
