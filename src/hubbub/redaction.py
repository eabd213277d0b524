"""Keeping tokens out of logs: the server's as well as ours.

ASGI servers log the whole request path, and at DEBUG level whole frames and headers.
"""

import logging
import re
from typing import Any, Final

from hubbub.core.log_fields import LogFields

_REDACTED: Final = "[redacted]"
_HEADERS: Final = frozenset({"authorization", "cookie", "set-cookie", "x-api-key"})
"""Headers whose whole value is a secret. `websockets` logs a header's name and value as two arguments."""

_SECRETS: Final = (
    # A parameter of a URL that carries credentials, in the whole URL or in the query string alone.
    (re.compile(r"(?i)\b((?:access_token|token|ticket|api_key|cf_connect)=)[^&;\s\"'#]+"), r"\1[redacted]"),
    # A JSON Web Token (RFC 7519) anywhere: its header is base64 of '{"', and so begins with eyJ.
    (re.compile(r"eyJ[A-Za-z0-9_\-.]{10,}"), "[redacted]"),
    # Headers, as servers print them.
    (
        re.compile(r"(?i)\b(authorization|cookie|x-api-key)(['\"]?[:=,]\s*b?['\"]?)[^\r\n]+"),
        r"\1\2[redacted]",
    ),
    # The subprotocol that carries a token, as a header or as a list.
    (re.compile(r"(?i)(\bbearer['\"]?,\s*['\"]?)[^\s'\",]+"), r"\1[redacted]"),
    # A first message with a token, cut short by the server or not.
    (re.compile(r"(?i)(\"(?:token|ticket)\"\s*:\s*\")[^\"]+"), r"\1[redacted]"),
)

LOGGERS: Final = (
    "uvicorn.error",
    "uvicorn.access",
    "uvicorn.asgi",
    "websockets.server",
    "hypercorn.error",
    "hypercorn.access",
    "_granian",
    "granian.access",
    "daphne.server",
    "daphne.ws_protocol",
    "daphne.http_protocol",
    "django.channels.server",
    "hubbub",
    "hubbub.connections",
)
"""The loggers that servers write to. A logger's filters see only its own records, so each has to be named."""


def redact(text: str) -> str:
    """The text without tokens, tickets, cookies and keys."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class RedactTokens(logging.Filter):
    """Takes credentials out of every record; lets all records pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the record where it stands."""
        if isinstance(record.msg, str):
            record.msg = redact(record.msg)
        if isinstance(record.args, tuple):
            # Argument by argument: some formatters, like uvicorn's for access lines, take them apart.
            names = ("", *record.args)
            record.args = tuple(
                _REDACTED if isinstance(name, str) and name.lower() in _HEADERS else _redacted(argument)
                for name, argument in zip(names, record.args, strict=False)
            )
        elif isinstance(record.args, dict):
            clean = {name: _redacted(argument) for name, argument in record.args.items()}
            record.args = LogFields(clean) if isinstance(record.args, LogFields) else clean
        return True


def _redacted(argument: Any) -> Any:
    if isinstance(argument, int | float):
        return argument
    text = str(argument)
    clean = redact(text)
    return argument if clean == text else clean


def install(redactor: RedactTokens) -> None:
    """Put the filter on the loggers of all servers we know. Twice is as good as once."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(redactor)


def uninstall(redactor: RedactTokens) -> None:
    """Take the filter away again."""
    for name in LOGGERS:
        logging.getLogger(name).removeFilter(redactor)
