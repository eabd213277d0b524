"""What a line of a log says besides its message: readable as text, and still apart for who writes JSON."""

from typing import Final

MAX_LOGGED: Final = 256
"""Longest value in a log line, in characters: who chooses names and reasons cannot flood the log."""


class LogFields(dict[str, str | float | None]):
    """The one argument of a message that ends in ``%s``. As text, strings are quoted and stay in one line."""

    def __str__(self) -> str:
        return " ".join(f"{name}={_shown(value)}" for name, value in self.items() if value not in (None, ""))


def cut(text: str) -> str:
    """The text, as long as it may be in a log."""
    return text if len(text) <= MAX_LOGGED else text[:MAX_LOGGED] + "..."


def _shown(value: str | float | None) -> str:
    return repr(cut(value)) if isinstance(value, str) else f"{value:.10g}"
