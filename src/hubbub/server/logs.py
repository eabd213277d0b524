"""How ``hubbub serve`` and ``hubbub run`` write their log, and uvicorn's: lines of text, or of JSON."""

import json
import logging
import sys
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

from uvicorn.config import LOGGING_CONFIG

from hubbub.core.log_fields import LogFields, cut
from hubbub.redaction import redact
from hubbub.server.settings import LogFormat

ACCESS: Final = ("client", "method", "path", "http_version", "status")
"""The arguments of uvicorn's line for a request."""

MAX_MESSAGE: Final = 4_096
"""Longest message, and longest traceback times four, in characters."""


class JsonLines(logging.Formatter):
    """One JSON object in each line: ``time``, ``level``, ``logger``, ``message``, and the line's own fields.

    Without tokens, tickets, cookies and keys, as far as `hubbub.redaction` knows them.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, in ASCII."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage())[:MAX_MESSAGE],
        }
        line |= {name: _clean(value) for name, value in _fields(record).items() if value not in (None, "")}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))[-4 * MAX_MESSAGE :]
        return json.dumps(line)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    arguments = record.args if isinstance(record.args, tuple) else (record.args,)
    if record.name == "uvicorn.access" and len(arguments) == len(ACCESS):
        return dict(zip(ACCESS, arguments, strict=True))
    return next((dict(one) for one in arguments if isinstance(one, LogFields)), {})


def _clean(value: object) -> object:
    return value if isinstance(value, int | float) else cut(redact(str(value)))


def log_config(form: LogFormat, level: str, *, everything: bool) -> dict[str, Any]:
    """For `logging.config.dictConfig`, and uvicorn's ``log_config``.

    Args:
        form: "auto" is JSON unless the standard error is a terminal.
        level: of Hubbub's own loggers; uvicorn sets that of its own.
        everything: whether warnings of other libraries are written, too. An app that sets up the root logger
            itself does not want that.
    """
    config: dict[str, Any] = deepcopy(LOGGING_CONFIG)
    if form == "json" or (form == "auto" and not sys.stderr.isatty()):
        for formatter in config["formatters"]:
            config["formatters"][formatter] = {"()": "hubbub.server.logs.JsonLines"}
        config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    config["loggers"]["hubbub"] = {"handlers": ["default"], "level": level.upper(), "propagate": False}
    if everything:
        config["root"] = {"handlers": ["default"], "level": "WARNING"}
    return config
