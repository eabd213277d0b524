"""Figures of all processes of one machine, through a folder: each leaves its own there, any can read them.

A process holds a lock for as long as it lives. Who finds one that nobody holds adds the counters of that
process to those of all that have ended, and takes its files away: gauges vanish with a process, its counters
stay. What it counted in its last second, when it was killed, is lost.
"""

import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from hubbub.brokers.file_lock import FileLock
from hubbub.core.figures import Figures, together, without_present
from hubbub.core.timers import Timer
from hubbub.hub.parts import Parts
from hubbub.metrics.families import Together

INTERVAL: Final = 1.0
"""Seconds between the times that a process writes its figures."""

ENDED: Final = "ended"
"""The name under which all processes that have ended are kept."""

MOST_READINGS: Final = 5
"""Times that the folder is read anew because it changed meanwhile."""

_logger = logging.getLogger("hubbub")


T = TypeVar("T")


class _Ended(msgspec.Struct, frozen=True):
    """What processes that have ended had counted."""

    figures: Figures | None = None
    names: tuple[str, ...] = ()
    """Whose figures these are, as long as their files are there: they are added once."""


_figures: Final = msgspec.json.Decoder(Figures)
_ended: Final = msgspec.json.Decoder(_Ended)


class SharedFigures:
    """This process's part in the folder. A companion of its hub: it begins and ends with it.

    Args:
        folder: of the processes that belong together, on a local disk. It is made if it is not there.
        figures: takes those of this process.
    """

    __slots__ = ("_figures", "_folder", "_lock", "_name", "_parts", "_timer")

    def __init__(self, folder: Path, figures: Callable[[], Figures]) -> None:
        self._folder = folder
        self._figures = figures
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = FileLock(folder / f"{self._name}.lock")
        self._parts: Parts | None = None  # None while the hub does not run
        self._timer: Timer | None = None

    async def begin(self, parts: Parts) -> None:
        """Write now, and from now on. Raises `OSError` if the folder cannot be used."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()  # for good: the process has ended when the system takes it back
        self._parts = parts
        self._write()
        self._tick()

    async def end(self) -> None:
        """Leave the last figures behind."""
        if self._timer is not None:
            self._timer.cancel()
        self._parts = self._timer = None
        self._write()

    def together(self) -> Together:
        """Those of all processes: this one's of now, the others' of a second ago at most."""
        for name in self._names():
            self._put_away_if_ended(name)
        ended = self._read_ended()
        for _ in range(MOST_READINGS):
            others = [found for name in self._names() if (found := _read(self._file(name), _figures))]
            before, ended = ended, self._read_ended()
            if ended == before:  # else somebody has put one away meanwhile, and it would count twice or never
                break
        counted = [self._figures(), *others]
        if ended.figures is not None:
            counted.append(ended.figures)
        return Together(together(counted), 1 + len(others))

    def _tick(self) -> None:
        if self._parts is not None:
            self._timer = self._parts.clock.after(INTERVAL, self._again)

    def _again(self) -> None:
        try:
            self._write()
        except OSError as error:
            _logger.warning("the figures of this process cannot be shared: %s", error)
        self._tick()

    def _write(self) -> None:
        _put(self._file(self._name), msgspec.json.encode(self._figures()))

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _names(self) -> list[str]:
        """Of all other processes whose files are there."""
        names = (path.stem for path in self._folder.glob("*.lock"))
        return sorted(name for name in names if name not in (self._name, ENDED))

    def _put_away_if_ended(self, name: str) -> None:
        lock = FileLock(self._folder / f"{name}.lock")
        if lock.acquire():
            self._put_away(name)
            lock.release()

    def _put_away(self, name: str) -> None:
        """Add the counters of a process that has ended to the others, once, whoever is killed meanwhile."""
        guard = FileLock(self._folder / f"{ENDED}.lock")
        if not guard.acquire():
            return  # somebody else does it
        try:
            ended = self._read_ended()
            left = _read(self._file(name), _figures)
            if left is not None and name not in ended.names:
                counted = [without_present(left), *([ended.figures] if ended.figures is not None else [])]
                names = (name, *(one for one in ended.names if self._file(one).exists()))
                _put(self._file(ENDED), msgspec.json.encode(_Ended(together(counted), names)))
            self._file(name).unlink(missing_ok=True)
            (self._folder / f"{name}.lock").unlink(missing_ok=True)
        finally:
            guard.release()

    def _read_ended(self) -> _Ended:
        return _read(self._file(ENDED), _ended) or _Ended()


def _read(path: Path, decoder: "msgspec.json.Decoder[T]") -> T | None:
    """What a file has; None if it is not there, or not what it should be."""
    try:
        return decoder.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def _put(path: Path, content: bytes) -> None:
    """Write a file so that whoever reads it sees the old content or the new one."""
    draft = path.with_suffix(f".{secrets.token_hex(4)}")
    draft.write_bytes(content)
    draft.replace(path)
