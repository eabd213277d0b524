"""Public keys from a fixed list of addresses (JSON Web Key Sets, RFC 7517). Never from what a token names."""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hubbub.core.errors import ConfigurationError

if TYPE_CHECKING:
    import jwt

LIFETIME = 300.0
"""Seconds until the keys are fetched again."""

COOLDOWN = 10.0
"""Seconds between fetches for keys that are not known: anybody can name one."""

TIMEOUT = 5.0
"""Seconds of silence after which one address is given up."""

WAIT = 10.0
"""Seconds that tokens wait for a fetch: an address that never ends its answer is never silent."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_logger = logging.getLogger("hubbub")


class JwkSets:
    """The keys at some addresses, fetched in a thread when they are needed.

    Args:
        urls: ``https`` ones; ``http`` only on this machine.
        lifetime: seconds until the keys are fetched again. While that fails, the old ones stay.
        cooldown: seconds between two fetches.

    Raises:
        ConfigurationError: for other addresses, or none.
    """

    __slots__ = ("_clients", "_cooldown", "_fetched", "_fetching", "_keys", "_lifetime", "_tried")

    def __init__(
        self, urls: Sequence[str], *, lifetime: float = LIFETIME, cooldown: float = COOLDOWN
    ) -> None:
        import jwt

        for url in urls:
            parts = urlsplit(url)
            if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in _LOOPBACK):
                raise ConfigurationError("A key set's address begins with https://")
        if not urls:
            raise ConfigurationError("There is no address of a key set")
        self._clients = [jwt.PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT) for url in urls]
        self._lifetime = lifetime
        self._cooldown = cooldown
        self._keys: list[list[jwt.PyJWK]] = [[] for _ in urls]
        self._fetched = -lifetime  # when all keys were fetched last
        self._tried = -cooldown  # when that was tried last
        self._fetching: asyncio.Task[None] | None = None

    def known(self, kid: str | None) -> "list[jwt.PyJWK] | None":
        """The keys that a token with this key id may be signed with; None if they have to be fetched."""
        if time.monotonic() - self._fetched >= self._lifetime:
            return None
        return self._find(kid) or None

    async def find(self, kid: str | None) -> "list[jwt.PyJWK]":
        """The same, after fetching them where that is due, which takes `WAIT` at most.

        While no address answers, they are found among those that were fetched before.
        """
        keys = self.known(kid)
        if keys is not None:
            return keys
        if self._fetching is None and time.monotonic() - self._tried >= self._cooldown:
            self._tried = time.monotonic()
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        if self._fetching is not None:
            left = self._tried + WAIT - time.monotonic()
            await asyncio.wait([self._fetching], timeout=max(0.0, left))
        return self._find(kid)

    def _find(self, kid: str | None) -> "list[jwt.PyJWK]":
        return [key for keys in self._keys for key in keys if kid is None or key.key_id == kid]

    async def _fetch(self) -> None:
        try:
            answers = await asyncio.gather(
                *(asyncio.to_thread(client.get_signing_keys) for client in self._clients),
                return_exceptions=True,
            )
        finally:
            self._fetching = None
        for place, (client, answer) in enumerate(zip(self._clients, answers, strict=True)):
            if isinstance(answer, BaseException):
                _logger.error("no keys from %s: %s", client.uri, type(answer).__name__)
            else:
                self._keys[place] = answer
        if not any(isinstance(answer, BaseException) for answer in answers):
            self._fetched = self._tried
