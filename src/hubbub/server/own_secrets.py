"""Secrets that a server makes for itself where only its own machine can reach it. There are no default ones.

They are kept in the data folder, in a file that only its owner can read, so that tokens outlive a restart.
"""

import os
import secrets
import stat
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hubbub.core.errors import ConfigurationError
from hubbub.server.configuration import Configuration
from hubbub.server.exposure import operator_address
from hubbub.server.settings import Settings, is_loopback

FILE: Final = "secrets.toml"
"""The file's name in the data folder."""

THIS_RUN: Final = "made for this run"
"""The source of secrets that are kept nowhere."""

SECRET_BYTES: Final = 32
"""Random bytes of each."""

_HEAD: Final = "# Made by `hubbub serve`. Whoever knows these can be anybody.\n"


def secrets_file(settings: Settings) -> Path:
    """Where a server with these settings keeps the secrets that it makes."""
    return settings.data / FILE


def with_kept_secrets(configuration: Configuration) -> Configuration:
    """Add those of an earlier start that nobody has given otherwise. Writes nothing.

    Raises:
        ConfigurationError: if the file cannot be read.
    """
    settings = configuration.settings
    wanted = makeable(settings)
    if settings.keeps_nothing or not wanted:
        return configuration
    path = secrets_file(settings)
    kept = _read(path)
    found = {name: (kept[name],) for name in wanted if name in kept}
    return configuration.with_values(str(path), **found) if found else configuration


def with_own_secrets(configuration: Configuration) -> Configuration:
    """Add those that are missing, made now and kept unless the server keeps nothing.

    Raises:
        ConfigurationError: if others than this machine can reach the server, or the file cannot be written.
    """
    settings = configuration.settings
    if settings.missing_secrets and not settings.local:
        raise ConfigurationError(refusal(settings))
    missing = makeable(settings)
    if not missing:
        return configuration
    if settings.keeps_nothing:
        return configuration.with_values(THIS_RUN, **{name: (_new(),) for name in missing})
    try:
        _keep(settings, missing)
    except ConfigurationError:
        if settings.missing_secrets:
            raise
        return configuration  # without an admin page
    return with_kept_secrets(configuration)


def makeable(settings: Settings) -> list[str]:
    """Which of the missing secrets a server makes itself: those with which only its own machine gets in."""
    required = settings.missing_secrets if settings.local else []
    wanted = settings.admin is not False and is_loopback(operator_address(settings))
    return [*required, *(["admin_key"] if wanted and not settings.admin_key else [])]


def refusal(settings: Settings) -> str:
    """Why a server that others can reach does not start without secrets, and what to do."""
    missing = settings.missing_secrets
    variables = " and ".join(f"HUBBUB_{name.upper()}" for name in missing)
    return (
        f"Others can reach {settings.host}, so the server makes no secrets of its own there. "
        f"Missing: {', '.join(missing)}.\n"
        f"Set {variables} (32 bytes or more each: `openssl rand -base64 32`), or {' and '.join(missing)} in "
        "hubbub.toml; or listen on 127.0.0.1."
    )


def readable_by_others(path: Path) -> bool:
    """Whether other users of this machine can read the file."""
    return os.name == "posix" and path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _new() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def _read(path: Path) -> dict[str, str]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError(f"Cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: this is no TOML: {error}") from error
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _keep(settings: Settings, missing: Sequence[str]) -> None:
    """Make what the file does not have yet. It is put in its place whole: a server may be reading it."""
    path = secrets_file(settings)
    kept = _read(path)
    new = [name for name in missing if name not in kept]
    if not new:
        return
    values = kept | {name: _new() for name in new}
    text = _HEAD + "".join(f'{name} = "{value}"\n' for name, value in values.items())
    draft = path.with_name(f"{FILE}.{secrets.token_hex(4)}")
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"Cannot keep secrets in {path}: {error.strerror}") from error
    finally:
        with suppress(NotADirectoryError):
            draft.unlink(missing_ok=True)
