"""How many processes the server was told to start, as far as one of them can see."""

import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Final

_SERVERS: Final = {"uvicorn", "gunicorn", "hypercorn", "granian", "fastapi", "hubbub"}
_OPTION: Final = re.compile(r"(?:--workers=?|-w)([0-9]+)?")
_logger = logging.getLogger("hubbub")


def warn_of_others() -> None:
    """Log a warning where a hub, whose broker is for one process, is one of several by the command line."""
    workers = workers_told(sys.argv, os.environ)
    if workers > 1:
        _logger.warning(
            "the broker of this hub is for one process, and the server was told to start %d: their clients do"
            " not hear each other. Give Hub a broker that they share, like redis://localhost",
            workers,
        )


def workers_told(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """What a server's command line asks for, or ``WEB_CONCURRENCY``; 1 where neither does.

    A worker has the arguments of the process that started it. A server's file of settings is not seen.
    """
    program = PurePath(arguments[0]) if arguments else PurePath()
    by_module = program.parent.name if program.name == "__main__.py" else program.stem
    if by_module not in _SERVERS or "--reload" in arguments:  # with that, servers start one process only
        return 1
    told = environment.get("WEB_CONCURRENCY", "")
    for option, after in zip(arguments[1:], [*arguments[2:], ""], strict=True):
        if found := _OPTION.fullmatch(option):
            told = found[1] or after
    return int(told) if re.fullmatch("[0-9]{1,6}", told, re.ASCII) else 1
