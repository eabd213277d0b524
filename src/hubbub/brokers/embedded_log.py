"""What the embedded Valkey writes to its log file, told to Python's logging."""

import logging
import os
import re
from pathlib import Path
from typing import Final

LARGEST: Final = 4_194_304
"""Bytes of the file after which it begins anew."""

AT_ONCE: Final = 65_536
"""Bytes read at a time; the rest follows at the next look."""

_LINE: Final = re.compile(r"\d+:\w (?:\S+ ){3,4}\S+ (?P<level>[.*#-]) (?P<text>.*)")
_LEVELS: Final = {".": logging.DEBUG, "-": logging.DEBUG, "*": logging.INFO, "#": logging.WARNING}
_logger = logging.getLogger("hubbub.valkey")


class ServerLog:
    """Follows the file from where it ends now.

    Args:
        path: of the file, which need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = path.stat().st_size if path.exists() else 0  # bytes
        self._part = b""  # of a line that is not whole yet

    def tell(self) -> None:
        """Log what was written since the last call. A file that cannot be read is left alone."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._told)
                data = file.read(AT_ONCE)
            self._told += len(data)
            if self._told >= LARGEST:
                os.truncate(self._path, 0)
                self._told = 0
        except OSError:
            return
        *lines, self._part = (self._part + data).split(b"\n")
        for line in lines:
            _log(line.decode(errors="replace"))


def _log(line: str) -> None:
    found = _LINE.match(line)
    if found is not None:
        _logger.log(_LEVELS[found["level"]], "%s", found["text"])
    elif line.strip():
        _logger.info("%s", line)
