"""What the server can be told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of ``hubbub serve``."""

    broker: str = "memory://"
    origins: tuple[str, ...] = ()
    """Pages that may connect besides the server's own."""
