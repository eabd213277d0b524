"""Whose word about a client's address counts: the proxies that are trusted with ``X-Forwarded-For``.

uvicorn does the reading: it goes through the header from its end and takes the first address that is no
trusted proxy's, so what a client wrote itself into the header is never reached.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

from hubbub.core.errors import ConfigurationError

FORWARDED: Final = "FORWARDED_ALLOW_IPS"
"""uvicorn's own environment variable for them, separated by commas; it counts where the setting is empty."""

THIS_MACHINE: Final = ("127.0.0.1", "::1")
"""Who is trusted when nobody says anything."""

EVERYBODY: Final = "*"


def check_proxies(proxies: Sequence[str]) -> None:
    """Look at addresses and networks. uvicorn would take a slip in one for the name of no host, in silence.

    Raises:
        ConfigurationError: for one that is neither an address nor a network nor `EVERYBODY`.
    """
    for one in proxies:
        if one == EVERYBODY:
            continue
        try:
            ipaddress.ip_network(one)
        except ValueError as error:
            said = f"expected an address or a network like 10.0.0.0/8: {error}"
            raise ConfigurationError(said) from error


def trusted_proxies(given: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The proxies that are trusted: those given, or uvicorn's variable, or `THIS_MACHINE`."""
    if given:
        return list(given)
    text = environment.get(FORWARDED)
    if text is None:
        return list(THIS_MACHINE)
    return [one.strip() for one in text.split(",") if one.strip()]
