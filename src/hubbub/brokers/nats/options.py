"""What a ``nats://`` URL says."""

import re
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import parse_qsl, unquote

from hubbub.brokers.urls import split_url
from hubbub.core.errors import ConfigurationError

DEFAULT_PORT: Final = 4222
HISTORY_BYTES: Final = 1_073_741_824
MIN_HISTORY_BYTES: Final = 1_048_576

_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """Where the servers are, and how the broker uses them.

    Raises:
        ConfigurationError: for what cannot work.
    """

    servers: tuple[str, ...] = (f"localhost:{DEFAULT_PORT}",)
    """``host:port`` of each; one of them is enough to find the rest of the cluster."""

    tls: bool = False
    """Whether the link must be encrypted. Without it, it is when the server asks for it."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    prefix: str = "hubbub"
    """Begins all subjects and stream names: hubs that shall not meet have different ones."""

    replicas: int = 1
    """Servers that keep each stream (JetStream allows 1 to 5)."""

    history_bytes: int = HISTORY_BYTES
    """Bound on the bytes of all rooms' histories together; past it, the oldest are discarded."""

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError("prefix must be 1 to 32 ASCII letters, digits, _ or -")
        if not 1 <= self.replicas <= 5:
            raise ConfigurationError("replicas must be 1 to 5")
        if self.history_bytes < MIN_HISTORY_BYTES:
            raise ConfigurationError(f"history_bytes must be at least {MIN_HISTORY_BYTES}")

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Read ``nats://[user:password@|token@]host[:port][,host[:port]...][?prefix=&replicas=&history_bytes=]``.

        Raises:
            ConfigurationError: if the URL cannot work. It never names the credentials.
        """
        parts = split_url(url)
        if parts.scheme not in ("nats", "tls"):
            raise ConfigurationError("a NATS URL begins with nats:// or tls://")
        if parts.path not in ("", "/") or parts.fragment:
            raise ConfigurationError("a NATS URL has no path and no fragment")
        userinfo, _, hosts = parts.netloc.rpartition("@")
        user, password, token = _credentials(userinfo)
        prefix, replicas, history_bytes = _query(parts.query)
        return cls(
            tuple(map(_server, hosts.split(","))),
            parts.scheme == "tls",
            user,
            password,
            token,
            prefix,
            replicas,
            history_bytes,
        )


def _credentials(userinfo: str) -> tuple[str | None, str | None, str | None]:
    if not userinfo:
        return None, None, None
    user, colon, password = userinfo.partition(":")
    if not colon:
        return None, None, unquote(user)
    return unquote(user), unquote(password), None


def _server(text: str) -> str:
    match = _HOST.fullmatch(text)
    if match is None or not 0 < int(match[2] or DEFAULT_PORT) < 65_536:
        raise ConfigurationError("a NATS URL needs a host, or several with commas between them")
    return f"{match[1]}:{match[2] or DEFAULT_PORT}"


def _query(query: str) -> tuple[str, int, int]:
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in ("prefix", "replicas", "history_bytes") or name in given:
            raise ConfigurationError(f"unknown or repeated option of a NATS URL: {name[:32]!r}")
        given[name] = value
    return (
        given.get("prefix", "hubbub"),
        _number("replicas", given, 1),
        _number("history_bytes", given, HISTORY_BYTES),
    )


def _number(name: str, given: dict[str, str], default: int) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch("[0-9]{1,15}", text, re.ASCII):
        raise ConfigurationError(f"{name} must be a number")
    return int(text)
