"""What may be written to a log of a request: no token, no control character, no endless line."""

from string import punctuation
from typing import Final
from urllib.parse import quote, unquote_plus

SECRET_PARAMETERS: Final = frozenset(("token", "access_token", "ticket", "api_key"))
"""Query parameters whose values never reach a log."""

MAX_LOGGED: Final = 256
"""Longest path with query in a log line, in characters."""


def redacted_path(path: str, query: bytes) -> str:
    """Return path and query string for a log line, with the values of `SECRET_PARAMETERS` left out."""
    line = quote(path)
    if query:
        line += "?" + "&".join(_redacted(field) for field in quote(query, safe=punctuation).split("&"))
    return line if len(line) <= MAX_LOGGED else line[:MAX_LOGGED] + "..."


def _redacted(field: str) -> str:
    name, equals, _ = field.partition("=")
    if equals and unquote_plus(name).lower() in SECRET_PARAMETERS:
        return f"{name}=[redacted]"
    return field
