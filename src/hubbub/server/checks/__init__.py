"""What ``hubbub check`` looks at: the configuration, and where the server is to run."""

from collections.abc import Callable, Iterator

from hubbub.server.checks.broker import check_broker
from hubbub.server.checks.exposure import (
    check_exposure,
    check_origins,
    check_protection,
    check_proxy,
    check_rooms,
    check_secrets,
    check_tls,
)
from hubbub.server.checks.findings import Finding, Level
from hubbub.server.checks.hooks import check_hooks
from hubbub.server.checks.key_sets import check_key_sets
from hubbub.server.checks.machine import (
    check_data_folder,
    check_open_files,
    check_packages,
    check_port,
    check_workers,
)
from hubbub.server.configuration import Configuration

__all__ = ["Finding", "Level", "check_configuration", "check_open_files", "check_packages"]

_CHECKS: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
    check_secrets,
    check_origins,
    check_tls,
    check_proxy,
    check_exposure,
    check_protection,
    check_rooms,
    check_workers,
    check_data_folder,
    check_port,
    check_key_sets,
    check_hooks,
    check_broker,
)


def check_configuration(configuration: Configuration) -> Iterator[Finding]:
    """All findings about a configuration that could be read, the slow ones last."""
    yield from check_packages()
    yield from check_open_files(configuration.settings)
    for check in _CHECKS:
        yield from check(configuration)
