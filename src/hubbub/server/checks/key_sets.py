"""Whether the addresses of key sets answer, and with keys."""

import time
from collections.abc import Iterator
from threading import Thread
from typing import Final
from urllib.error import HTTPError

from hubbub.server.checks.findings import Finding, error, ok, warn
from hubbub.server.configuration import Configuration
from hubbub.server.printed_settings import masked_url

PATIENCE: Final = 3.0
"""Seconds that all of them together may take."""

NO_ANSWER: Final = "no answer"


def check_key_sets(configuration: Configuration) -> Iterator[Finding]:
    """Fetch the keys, as the server does for the first token.

    Without an answer a server can start, and tries again: that is a warning. Another answer is an error.
    """
    place = configuration.place("jwks")
    found: dict[str, int | Exception] = {}
    # A thread that is not waited for: an answer may come in drops, each before its time is over.
    asking = [Thread(target=_fetch, args=(url, found), daemon=True) for url in configuration.settings.jwks]
    for thread in asking:
        thread.start()
    until = time.monotonic() + PATIENCE
    for thread, url in zip(asking, configuration.settings.jwks, strict=True):
        thread.join(max(0.0, until - time.monotonic()))
        shown, answer = masked_url(url), found.get(url)
        if isinstance(answer, int):
            yield ok("jwks", f"{shown} has {answer} {'key' if answer == 1 else 'keys'}")
        elif answer is None or _is_silence(answer):
            said = NO_ANSWER if answer is None else _reason(answer)
            yield warn(
                "jwks", f"{shown}: {said}; no token can be checked", f"see to it that it answers ({place})"
            )
        else:
            yield error("jwks", f"{shown}: {_reason(answer)}", f"name the address of a key set ({place})")


def _fetch(url: str, found: dict[str, int | Exception]) -> None:
    import jwt

    try:
        found[url] = len(jwt.PyJWKClient(url, cache_jwk_set=False, timeout=PATIENCE).get_signing_keys())
    except Exception as failure:  # noqa: BLE001 - of whatever kind: the line tells it
        found[url] = failure


def _is_silence(failure: Exception) -> bool:
    """Nobody was there to answer, or only somebody who knows that the server is away."""
    cause = failure.__cause__
    return cause.code >= 500 if isinstance(cause, HTTPError) else isinstance(cause, OSError)


def _reason(failure: Exception) -> str:
    cause = failure.__cause__ or failure
    said = getattr(cause, "reason", None)
    if isinstance(cause, TimeoutError) or isinstance(said, TimeoutError):
        return NO_ANSWER
    if isinstance(cause, HTTPError):
        said = f"{cause.code} {cause.reason}"
    return str(said or cause or type(cause).__name__).rstrip(".")
