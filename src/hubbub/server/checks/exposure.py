"""Who can reach the server, and what keeps out whoever should stay out."""

import time
from collections.abc import Iterator, Mapping
from itertools import combinations
from os import environ
from typing import Final
from urllib.parse import urlsplit

from hubbub.core.errors import ConfigurationError
from hubbub.core.options import Allow
from hubbub.core.patterns import covers
from hubbub.server.checks.findings import Finding, error, ok, warn
from hubbub.server.configuration import Configuration
from hubbub.server.exposure import Exposure, Place, exposures, operator_address
from hubbub.server.own_secrets import readable_by_others, secrets_file
from hubbub.server.proxies import EVERYBODY, FORWARDED, THIS_MACHINE, trusted_proxies
from hubbub.server.settings import SECRETS, is_loopback
from hubbub.uvicorn.certificates import ends_at

SOON: Final = 14
"""Days that a certificate should have left: what renews it by itself does so 30 before the end."""

FEWEST_CHARACTERS: Final = 10
"""Different characters in a secret that somebody has not made up."""

_OPENSSL: Final = "`openssl rand -base64 32` makes one"


def check_secrets(configuration: Configuration) -> Iterator[Finding]:
    """There, long enough, not guessed, and not readable by others."""
    settings = configuration.settings
    for name in settings.missing_secrets:
        if settings.local:
            place = "this run only" if settings.keeps_nothing else str(secrets_file(settings))
            yield ok(name, f"the server makes its own, for {place}")
        else:
            mend = f"set HUBBUB_{name.upper()} or {name} in hubbub.toml; {_OPENSSL}"
            yield error(name, f"missing, and others can reach {settings.host}", mend)
    for name in SECRETS:
        values: tuple[str, ...] = getattr(settings, name)
        if any(len(set(value)) < FEWEST_CHARACTERS for value in values):
            yield error(name, f"one can be guessed ({configuration.place(name)})", _OPENSSL)
        elif values:
            yield ok(name, f"{len(values)}, from {configuration.sources[name]}")
    for first, second in combinations(SECRETS, 2):
        if set(getattr(settings, first)) & set(getattr(settings, second)):
            said = f"the same as {first}: who has one has both"
            yield error(second, said, f"make another one; {_OPENSSL}")
    yield from _files(configuration)


def _files(configuration: Configuration) -> Iterator[Finding]:
    settings = configuration.settings
    kept = secrets_file(settings)
    if settings.local and readable_by_others(kept):
        yield error("secrets", f"others can read {kept}", f"`chmod 600 {kept}`")
    file = configuration.file
    in_file = file is not None and str(file) in (configuration.sources[name] for name in SECRETS)
    if file is not None and in_file and readable_by_others(file):
        yield warn(
            "secrets", f"others can read {file}, which has some", f"`chmod 600 {file}`, or HUBBUB_SECRET"
        )


def check_origins(configuration: Configuration) -> Iterator[Finding]:
    """Which pages may connect."""
    origins = configuration.settings.origins
    place = configuration.place("origins")
    if "*" in origins:
        yield error("origins", "every page of the web may connect as its visitor", f"name yours ({place})")
        return
    plain = [one for one in origins if one.startswith("http://") and not _on_this_machine(one)]
    if plain:
        yield warn(
            "origins",
            f"{plain[0]} comes without TLS: anybody on its way can change the page",
            f"https ({place})",
        )
    yield ok("origins", f"this server's own{', and ' if origins else ''}{', '.join(origins)}")


def _on_this_machine(origin: str) -> bool:
    return urlsplit(origin).hostname in ("localhost", "127.0.0.1", "::1")


def check_tls(configuration: Configuration) -> Iterator[Finding]:
    """The certificate, where there is one."""
    settings = configuration.settings
    if settings.ssl_certfile is None or settings.ssl_keyfile is None:
        return
    place = configuration.place("ssl_certfile")
    try:
        left = (ends_at(settings.ssl_certfile, settings.ssl_keyfile) - time.time()) / 86_400
    except ConfigurationError as failure:
        yield error("tls", str(failure), f"give a certificate and its key, PEM ({place})")
        return
    if left < SOON:
        yield warn("tls", f"{settings.ssl_certfile} expires in {left:.0f} days", f"renew it ({place})")
    else:
        yield ok("tls", f"{settings.ssl_certfile}, for {left:.0f} days")


def check_proxy(configuration: Configuration) -> Iterator[Finding]:
    """Whose word about a client's address counts."""
    settings = configuration.settings
    trusted = trusted_proxies(settings.trusted_proxies, environ)
    place = configuration.place("trusted_proxies") if settings.trusted_proxies else FORWARDED
    if EVERYBODY in trusted and not settings.local:
        said = f"everybody is believed about their address ({place})"
        yield error("proxy", said, "name the addresses of the proxies")
    elif not settings.local and tuple(trusted) == THIS_MACHINE and settings.ssl_certfile is None:
        yield warn(
            "proxy",
            f"{settings.host} without TLS, and no proxy is trusted: tokens go in the clear",
            "give ssl_certfile and ssl_keyfile, or put a proxy before it and name it in trusted_proxies",
        )
    else:
        yield ok("proxy", f"believed: {' and '.join(trusted) or 'none'}")


def check_exposure(configuration: Configuration) -> Iterator[Finding]:
    """What is shown on which port, and whether others can reach it."""
    settings = configuration.settings
    found = exposures(settings)
    for place, address in ((Place.PUBLIC, settings.host), (Place.OPERATOR, settings.operator_host)):
        names = [name for name, exposure in found.items() if exposure.place is place]
        if names:
            whose = "this machine" if is_loopback(address) else "whoever reaches it"
            yield ok("exposed", f"on {address}, to {whose}: {', '.join(names)}")
    off = [name for name, exposure in found.items() if exposure.place is Place.NOWHERE]
    if off:
        yield ok("exposed", f"nowhere: {', '.join(off)}")
    if not is_loopback(operator_address(settings)):
        yield from _open_to_others(configuration, found)


def _open_to_others(configuration: Configuration, found: Mapping[str, Exposure]) -> Iterator[Finding]:
    settings = configuration.settings
    if found["metrics"].place is not Place.NOWHERE and not settings.metrics_key:
        yield warn(
            "metrics", "whoever reaches the server reads them", "set HUBBUB_METRICS_KEY, or an operator_port"
        )
    if found["docs"].place is not Place.NOWHERE:
        place = configuration.place("docs")
        yield warn("docs", "whoever reaches the server reads them", f"docs = false ({place})")


def check_protection(configuration: Configuration) -> Iterator[Finding]:
    """Whether one client can take what all share."""
    settings = configuration.settings
    place = configuration.place("protection")
    if settings.protection:
        yield ok("protection", f"{settings.max_connections or 'any number of'} connections, with rates")
    elif settings.local:
        yield ok("protection", "off")
    else:
        yield warn("protection", "off: one client can take what all share", f"protection = true ({place})")


def check_rooms(configuration: Configuration) -> Iterator[Finding]:
    """Rooms in which everybody may speak, and patterns that no room gets to."""
    settings = configuration.settings
    for earlier, later in combinations(settings.rooms, 2):
        if covers(earlier, later):
            said = f"{later} counts for no room: all that fit it fit {earlier}, which comes first"
            yield error("rooms", said, f"put the wider pattern last ({configuration.place('rooms')})")
    for pattern, table in settings.rooms.items():
        everybody = table.allow_publish is Allow.ANYONE or (
            table.allow_publish is Allow.SUBSCRIBER and table.allow_subscribe is Allow.ANYONE
        )
        if everybody and settings.anonymous:
            yield warn(
                "rooms",
                f"whoever reaches the server may publish in {pattern}",
                f'allow_publish = "user" ({configuration.place("rooms")})',
            )
    yield ok("rooms", f"{len(settings.rooms)} patterns")
