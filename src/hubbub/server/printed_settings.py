"""The effective configuration as a file that ``hubbub.toml`` could be, with the source of each value."""

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any
from urllib.parse import urlunsplit

import msgspec

from hubbub.brokers.urls import split_url
from hubbub.server.configuration import DEFAULT, Configuration
from hubbub.server.own_secrets import secrets_file
from hubbub.server.quantities import Bytes, Seconds
from hubbub.server.settings import HOOKS, SECRETS, RoomTable, Settings
from hubbub.server.tables import SETTINGS

MASK = "***"
"""What is printed in place of a secret."""

_SECRET_PARAMETER = re.compile(r"(?i)([?&][^=&]*(?:password|secret|token|credential)[^=&]*=)[^&]*")


def printed(configuration: Configuration) -> str:
    """The configuration as a TOML document, without a secret in it."""
    lines = [f"# {configuration.file or 'no file'}, the environment and the command line"]
    lines += [_line(configuration, name) for name in SETTINGS if name != "rooms"]
    for pattern, table in configuration.settings.rooms.items():
        lines += ["", f"[rooms.{_text(pattern)}]  # {configuration.sources['rooms']}", *_options(table)]
    return "\n".join(map(_printable, lines))


def masked_url(url: str) -> str:
    """A broker's URL without its password."""
    parts = split_url(url)
    credentials, at, host = parts.netloc.rpartition("@")
    if at:
        user, colon, _ = credentials.partition(":")
        parts = parts._replace(netloc=f"{user if colon else ''}{colon}{MASK}@{host}")
    return _SECRET_PARAMETER.sub(rf"\1{MASK}", urlunsplit(parts) if at else url)


def _printable(line: str) -> str:
    """A path in a comment may have any character in it; TOML has no escapes there."""
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _line(configuration: Configuration, name: str) -> str:
    settings, source = configuration.settings, configuration.sources[name]
    value: Any = settings.effective_broker if name == "broker" else getattr(settings, name)
    if name in SECRETS:
        return _secret(settings, name, value, source)
    if value is None:
        return f"# {name} is not set"
    if name == "broker" or name in HOOKS:
        value = masked_url(value)
    if name == "hook_static_headers":
        value = [f"{one.partition(':')[0]}:{MASK}" for one in value]
    return f"{name} = {_toml(value)}  # {source}"


def _secret(settings: Settings, name: str, value: tuple[str, ...], source: str) -> str:
    if value:
        lengths = " and ".join(str(len(one.encode())) for one in value)
        return f"{name} = {_toml([MASK] * len(value))}  # {source}, {lengths} bytes"
    if name not in settings.missing_secrets:
        return f"# {name} is not set"
    if not settings.local:
        return f"# {name} is missing: others can reach {settings.host}"
    place = "for that run only" if settings.keeps_nothing else f"and kept in {secrets_file(settings)}"
    return f"# {name} is made at the start, {place}"


def _options(table: RoomTable) -> Iterator[str]:
    for field in msgspec.structs.fields(table):
        value = getattr(table, field.name)
        if value is not None:
            source = f"  # {DEFAULT}" if value == field.default else ""
            yield f"{field.name} = {_toml(value)}{source}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Seconds | Bytes):
        return _text(str(value))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return _text(str(value.value) if isinstance(value, Enum) else str(value))


def _text(value: str) -> str:
    """A basic string of TOML 1.0. JSON has the same escapes, but lets DEL stand as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
