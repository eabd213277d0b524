"""What the server can be told."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import msgspec

HANDED_ON = "HUBBUB_SERVE_SETTINGS"
"""The environment variable in which the command hands its settings to the workers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of ``hubbub serve``."""

    broker: str = "memory://"
    origins: tuple[str, ...] = ()
    """Pages that may connect besides the server's own."""

    @classmethod
    def handed_on(cls) -> Self:
        """The settings that the command was started with."""
        return msgspec.json.decode(os.environ[HANDED_ON], type=cls)

    def hand_on(self) -> None:
        """Leave the settings for the processes that this one starts."""
        os.environ[HANDED_ON] = msgspec.json.encode(asdict(self)).decode()


def default_broker(data: Path, workers: int) -> str:
    """The broker for a server that was given none: it keeps what it is told in the folder `data`.

    One process has a SQLite file. Several have a Valkey of their own, which the first of them starts.
    """
    folder = data.absolute().as_posix()
    return f"sqlite:///{folder}/hubbub.db" if workers == 1 else f"embedded://{folder}/valkey"
