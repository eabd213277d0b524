"""Whether the addresses of hooks answer, and what goes there cannot be read on its way."""

import time
from collections.abc import Iterator
from threading import Thread
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from hubbub.server.checks.findings import Finding, ok, warn
from hubbub.server.configuration import Configuration
from hubbub.server.printed_settings import masked_url
from hubbub.server.settings import ROOM_HOOKS, is_loopback

PATIENCE: Final = 3.0
"""Seconds that all of them together may take."""


def check_hooks(configuration: Configuration) -> Iterator[Finding]:
    """Ask each address for its OPTIONS, which does nothing there: only how it answers counts."""
    settings = configuration.settings
    found: dict[str, int | str] = {}
    asking = {
        event: Thread(target=_ask, args=(event, address, found), daemon=True)
        for event, address in settings.hooks.items()
    }
    for thread in asking.values():
        thread.start()
    until = time.monotonic() + PATIENCE
    for event, thread in asking.items():
        thread.join(max(0.0, until - time.monotonic()))
        address, place = settings.hooks[event], configuration.place(f"{event}_hook")
        yield _finding(event, address, found.get(event, "no answer"), place)
        yield from _on_its_way(event, address, place)
    yield from _never_asked(configuration)


def _ask(event: str, address: str, found: dict[str, int | str]) -> None:
    opener = build_opener(ProxyHandler({}), _NoRedirects())
    try:
        with opener.open(Request(address, method="OPTIONS"), timeout=PATIENCE) as response:
            found[event] = response.status
    except HTTPError as answer:
        found[event] = answer.code
        answer.close()
    except Exception as failure:  # noqa: BLE001 - of whatever kind: the line tells it
        found[event] = str(getattr(failure, "reason", "") or failure or type(failure).__name__).rstrip(".")


class _NoRedirects(HTTPRedirectHandler):
    """The answer counts, not where it points to."""

    def redirect_request(self, *args: object) -> None:
        """Nowhere."""


def _finding(event: str, address: str, answer: int | str, place: str) -> Finding:
    topic, shown = f"{event} hook", masked_url(address)
    if isinstance(answer, str):
        said = f"{shown}: {answer}; who depends on it is told to try again"
        return warn(topic, said, f"see to it that it answers ({place})")
    if 300 <= answer < 400:
        return warn(topic, f"{shown} points elsewhere ({answer}), and that is not followed", f"({place})")
    if answer == 404 or answer >= 500:
        return warn(topic, f"{shown} answers {answer}", f"look at the path, and at the backend ({place})")
    return ok(topic, f"{shown} answers")


def _on_its_way(event: str, address: str, place: str) -> Iterator[Finding]:
    parts = urlsplit(address)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        said = "http to another machine: cookies and answers can be read and changed on their way"
        yield warn(f"{event} hook", said, f"https, or a network of your own ({place})")


def _never_asked(configuration: Configuration) -> Iterator[Finding]:
    settings = configuration.settings
    for name in ROOM_HOOKS:
        if getattr(settings, name) and not any(getattr(table, name) for table in settings.rooms.values()):
            said = f'no room asks it: {name} = true in a table [rooms."pattern"] does'
            yield warn(name.replace("_hook", " hook"), said, f"({configuration.place(name)})")
    others = [name for name in ("plain_rooms", "chat") if getattr(settings, name)]
    if settings.connect_hook and others:
        said = f"plain WebSockets come in unasked: {' and '.join(others)}"
        yield warn("connect hook", said, f"{others[0]} = false ({configuration.place(others[0])})")
