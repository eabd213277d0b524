"""What a room is like, by the pattern of its name."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypedDict

from hubbub.core.errors import ConfigurationError
from hubbub.core.history import History
from hubbub.core.outbox import Overflow

_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")


MAX_REMEMBERED: Final = 10_000
"""Names whose options are remembered, so that a publish matches no pattern."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    """Options of a room.

    Raises:
        ConfigurationError: for options that cannot work together.
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

    cache: bool = False
    """Whether a client that comes needs only the newest publication. Needs `history`."""

    delta: Delta | None = None
    """Whether clients may ask for publications as deltas. Needs `history`."""

    allow_subscribe: Allow = Allow.TOKEN
    """Who may join."""

    allow_publish: Allow = Allow.NOBODY
    """Who may publish."""

    allow_history: Allow = Allow.NOBODY
    """Who may read the history."""

    allow_presence: Allow = Allow.NOBODY
    """Who may ask who is there."""

    def __post_init__(self) -> None:
        for name in ("force_recovery", "force_positioning", "cache", "delta"):
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
    cache: bool
    delta: Delta | None
    allow_subscribe: Allow
    allow_publish: Allow
    allow_history: Allow
    allow_presence: Allow


class RoomPatterns:
    """Options by name pattern; the first that fits counts.

    ``{name}`` in a pattern stands for one or more characters other than ``:`` and ``/``; ``{name:path}`` for
    one or more of any.
    """

    __slots__ = ("_default", "_found", "_patterns")

    def __init__(self, default: RoomOptions | None = None) -> None:
        self._default = default or RoomOptions()
        self._patterns: list[tuple[re.Pattern[str], RoomOptions]] = []
        self._found: dict[str, RoomOptions | None] = {}

    def add(self, pattern: str, options: RoomOptions) -> None:
        """Register options.

        Raises:
            ConfigurationError: if the pattern is malformed.
        """
        expression, end = "", 0
        for parameter in _PARAMETER.finditer(pattern):
            expression += re.escape(pattern[end : parameter.start()])
            expression += ".+" if parameter[2] else "[^:/]+"
            end = parameter.end()
        rest = pattern[end:]
        if not pattern or set("{}") & set(_PARAMETER.sub("", pattern)):
            raise ConfigurationError(
                f"Room pattern {pattern!r}: parameters look like {{name}} or {{name:path}}"
            )
        self._patterns.append((re.compile(expression + re.escape(rest)), options))
        self._found.clear()

    def find(self, room: str) -> RoomOptions | None:
        """The options of the room of that name; None if no pattern fits."""
        try:
            return self._found[room]
        except KeyError:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
        fitting = (options for pattern, options in self._patterns if pattern.fullmatch(room))
        found = self._found[room] = next(fitting, None)
        return found

    def options(self, room: str) -> RoomOptions:
        """The options of the room of that name; the default ones if no pattern fits."""
        return self.find(room) or self._default
