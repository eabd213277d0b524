"""The machine: packages, open files, folders, the port, processors."""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hubbub.hub.open_files import RESERVED_FILES
from hubbub.server.checks.findings import Finding, error, ok, warn
from hubbub.server.configuration import Configuration
from hubbub.server.settings import Settings

UVICORN: Final = (0, 53)
"""The first release whose WebSockets wait for a slow reader; 0.50 to 0.52 fill the memory."""

FEW_FILES: Final = 1_024
MANY_FILES: Final = 10_000 + RESERVED_FILES


def check_packages() -> Iterator[Finding]:
    """uvicorn, and what makes it fast."""
    try:
        found = version("uvicorn")
    except PackageNotFoundError:
        found = "0"
    if _release(found) < UVICORN:
        wanted = ".".join(map(str, UVICORN))
        yield error(
            "uvicorn",
            f"{found} does not wait for slow readers, who fill the memory",
            f'pip install "uvicorn>={wanted}"',
        )
    else:
        yield ok("uvicorn", found)
    needed = ["httptools"] if os.name == "nt" else ["uvloop", "httptools"]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        yield warn(
            "packages", f"without {' and '.join(missing)} it is slower", f"pip install {' '.join(missing)}"
        )


def check_open_files(settings: Settings) -> Iterator[Finding]:
    """Each client is an open file."""
    if sys.platform == "win32":  # which has no such limit
        return
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY or limit >= MANY_FILES:
        yield ok("open files", "no limit" if limit == resource.RLIM_INFINITY else f"{limit} for each process")
        return
    grave = limit < FEW_FILES and not settings.local
    yield (error if grave else warn)(
        "open files",
        f"{limit} for each process: room for about {max(0, limit - RESERVED_FILES)} clients",
        "`ulimit -n 65536`, or LimitNOFILE=65536 in a systemd unit",
    )


def check_data_folder(configuration: Configuration) -> Iterator[Finding]:
    """Where the SQLite file and the server's own secrets are kept."""
    settings = configuration.settings
    if settings.broker is not None and not (
        settings.local and settings.missing_secrets and not settings.keeps_nothing
    ):
        return
    folder = settings.data.absolute()
    place = configuration.place("data")
    if folder.exists() and not folder.is_dir():
        yield error("data folder", f"{folder} is no folder", f"name another one ({place})")
        return
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    if not _writable(nearest):
        yield error(
            "data folder", f"{nearest} cannot be written", f"change its owner, or name another one ({place})"
        )
    else:
        yield ok("data folder", f"{folder} can be written" if nearest == folder else f"{folder} will be made")


def check_port(configuration: Configuration) -> Iterator[Finding]:
    """Whether the server can listen."""
    settings = configuration.settings
    yield _port(configuration, settings.host, settings.port, "")
    if settings.operator_port is not None:
        yield _port(configuration, settings.operator_host, settings.operator_port, "operator_")


def _port(configuration: Configuration, host: str, port: int, prefix: str) -> Finding:
    topic = f"{prefix}port".replace("_", " ")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            place = configuration.place(f"{prefix}port")
            return warn(topic, f"{port} is in use", f"if not by this server, choose another ({place})")
        why = os.strerror(failure.errno) if failure.errno and failure.errno > 0 else failure.strerror
        said = f"cannot listen on {host} port {port}: {why}"
        place = configuration.place(f"{prefix}host")
        return error(topic, said, f"give an address of this machine ({place})")
    return ok(topic, f"{host} port {port} is free")


def check_workers(configuration: Configuration) -> Iterator[Finding]:
    """Whether several processes can work together, and have something to run on."""
    settings = configuration.settings
    place = configuration.place("workers")
    if settings.workers == 1:
        return
    processors = os.cpu_count() or 1
    if settings.workers > processors:
        yield warn(
            "workers", f"{settings.workers} on {processors} processors", f"have no more than that ({place})"
        )


def _release(text: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) if part.isdigit() else 0 for part in text.split(".")[:2])


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
