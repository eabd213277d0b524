"""Settings that cannot work, alone or together."""

from collections.abc import Callable, Iterator
from functools import partial

from hubbub.auth import check_secret
from hubbub.core.errors import ConfigurationError
from hubbub.core.origins import Origins
from hubbub.core.patterns import Patterns
from hubbub.gateway import TokenVerifier
from hubbub.gateway.permissions import PersonalRooms
from hubbub.hub import Hub
from hubbub.server.exposure import operator_address
from hubbub.server.hooks.addresses import check_address
from hubbub.server.hooks.headers import HookHeaders, static_headers
from hubbub.server.proxies import check_proxies
from hubbub.server.settings import HOOKS, ROOM_HOOKS, SECRETS, Settings, is_loopback


def contradictions(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong: the setting's name, and a sentence. Nothing for settings that can work."""
    found = [
        (name, "it goes with the other one of ssl_certfile and ssl_keyfile")
        for name in _half_of_tls(settings)
    ]
    if settings.jwks and settings.secret:
        found.append(("jwks", "tokens are checked with a secret or with key sets; give one of them"))
    found += _islands(settings)
    found += _open_to_others(settings)
    found += _unasked(settings)
    for name, check in _checks(settings):
        try:
            check()
        except ConfigurationError as error:
            found.append((name, str(error)))
    return found


def _half_of_tls(settings: Settings) -> list[str]:
    files = {"ssl_certfile": settings.ssl_certfile, "ssl_keyfile": settings.ssl_keyfile}
    given = [name for name, path in files.items() if path is not None]
    return given if len(given) == 1 else []


def _islands(settings: Settings) -> Iterator[tuple[str, str]]:
    scheme = settings.effective_broker.partition(":")[0]
    if settings.workers > 1 and scheme in ("memory", "sqlite"):
        yield (
            "workers",
            f"{scheme}:// is for one process: {settings.workers} would share no rooms. Have one worker, "
            "leave the broker out (they start a Valkey of their own then), or name a Redis, Valkey or NATS",
        )


def _open_to_others(settings: Settings) -> Iterator[tuple[str, str]]:
    address = operator_address(settings)
    if settings.admin and not settings.admin_key and not is_loopback(address):
        yield "admin", f"others can reach {address}: it takes an admin_key, or an operator_port of its own"
    if settings.operator_port and settings.operator_port == settings.port:
        yield "operator_port", "it is the same as port"


def _unasked(settings: Settings) -> Iterator[tuple[str, str]]:
    for pattern, table in settings.rooms.items():
        asked = [name for name in ROOM_HOOKS if getattr(table, name)]
        yield from (
            ("rooms", f"{pattern} has {name}, and there is no address {name}")
            for name in asked
            if getattr(settings, name) is None
        )
        if asked and settings.plain_rooms and _has_plain_rooms(pattern):
            yield (
                "rooms",
                f"{pattern} has {asked[0]}, but clients of the plain rooms come in unasked; "
                "set plain_rooms = false",
            )


def _has_plain_rooms(pattern: str) -> bool:
    patterns = Patterns[bool]()
    patterns.add(pattern, True)
    return pattern.startswith("room:") or patterns.find("room:x") is not None


def _checks(settings: Settings) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "origins", partial(Origins, settings.origins)
    yield "trusted_proxies", partial(check_proxies, settings.trusted_proxies)
    for name in SECRETS:
        for one in getattr(settings, name):
            yield name, partial(check_secret, one)
    for name in HOOKS:
        if (address := getattr(settings, name)) is not None:
            yield name, partial(check_address, address)
    passed, client = settings.hook_headers, settings.hook_client_headers
    yield "hook_headers", partial(HookHeaders, (), passed, ())
    yield "hook_client_headers", partial(HookHeaders, (), (), client)
    static = settings.hook_static_headers
    yield "hook_static_headers", partial(static_headers, static, (*passed, *client))
    if settings.jwks:
        yield "jwks", partial(TokenVerifier, jwks=settings.jwks, algorithms=settings.jwks_algorithms)
    if settings.personal_room is not None:
        yield "personal_room", partial(PersonalRooms, Hub(), settings.personal_room)
