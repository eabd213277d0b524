"""What a room is like, by the pattern of its name."""

import re
from dataclasses import dataclass
from typing import Final

from hubbub.core.errors import ConfigurationError
from hubbub.core.history import History
from hubbub.core.outbox import Overflow

_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """Options of a room."""

    history: History | None = None
    """What it remembers; None for nothing."""

    overflow: Overflow = Overflow.DISCONNECT
    """What happens to a member that reads too slowly."""


class RoomPatterns:
    """Options by name pattern; the first that fits counts.

    ``{name}`` in a pattern stands for one or more characters other than ``:`` and ``/``; ``{name:path}`` for
    one or more of any.
    """

    __slots__ = ("_default", "_patterns")

    def __init__(self, default: RoomOptions | None = None) -> None:
        self._default = default or RoomOptions()
        self._patterns: list[tuple[re.Pattern[str], RoomOptions]] = []

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

    def options(self, room: str) -> RoomOptions:
        """The options of the room of that name."""
        for pattern, options in self._patterns:
            if pattern.fullmatch(room):
                return options
        return self._default
