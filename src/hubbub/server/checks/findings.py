"""One finding of a check: how bad it is, what was seen, and what to mend."""

from dataclasses import dataclass
from enum import Enum


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody may regret it."""

    ERROR = "error"
    """It does not work, or lets in whoever wants."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``hubbub check``."""

    level: Level
    topic: str
    said: str
    mend: str = ""

    def __str__(self) -> str:
        """The line."""
        return f"{self.level.value:5}  {self.topic}: {self.said}{'; ' if self.mend else ''}{self.mend}"


def ok(topic: str, said: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, topic, said)


def warn(topic: str, said: str, mend: str) -> Finding:
    """It works, but."""
    return Finding(Level.WARN, topic, said, mend)


def error(topic: str, said: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(Level.ERROR, topic, said, mend)
