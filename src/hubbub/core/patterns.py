"""Names that fit a pattern."""

import re
from typing import Final, Generic, TypeVar

from hubbub.core.errors import ConfigurationError

T = TypeVar("T")

MAX_REMEMBERED: Final = 10_000
"""Names whose value is remembered, so that a publication matches no pattern."""

_PARAMETER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")

_ANY: Final = "\ue000"
"""A character that no pattern has in it: only a parameter can stand for it."""


def covers(wide: str, narrow: str) -> bool:
    """Whether each name that fits the pattern `narrow` fits `wide`, too.

    Raises:
        ConfigurationError: if one of them is malformed.
    """
    names = [
        _PARAMETER.sub(lambda found, path=path: path if found[2] else _ANY, narrow)  # type: ignore[misc]
        for path in (_ANY, f"{_ANY}:{_ANY}/{_ANY}")
    ]
    patterns = Patterns[bool]()
    patterns.add(wide, True)
    return all(patterns.find(name) for name in names)


class Patterns(Generic[T]):
    """Values by name pattern; the first that fits counts.

    ``{name}`` in a pattern stands for one or more characters other than ``:`` and ``/``; ``{name:path}`` for
    one or more of any.
    """

    __slots__ = ("_found", "_patterns")

    def __init__(self) -> None:
        self._patterns: list[tuple[re.Pattern[str], T]] = []
        self._found: dict[str, T | None] = {}

    def add(self, pattern: str, value: T) -> None:
        """Register a value.

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
        self._patterns.append((re.compile(expression + re.escape(rest)), value))
        self._found.clear()

    def find(self, name: str) -> T | None:
        """The value of the first pattern that the name fits; None if it fits none."""
        try:
            return self._found[name]
        except KeyError:
            if len(self._found) >= MAX_REMEMBERED:
                self._found.clear()
        fitting = (value for pattern, value in self._patterns if pattern.fullmatch(name))
        found = self._found[name] = next(fitting, None)
        return found
