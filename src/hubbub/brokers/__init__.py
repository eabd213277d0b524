"""Brokers, chosen by URL. Each imports its client library in one file, when it is asked for."""

from importlib import import_module
from typing import Final

from hubbub.brokers.base import Broker, HistoryPage, Receiver
from hubbub.brokers.memory import MemoryBroker
from hubbub.brokers.urls import split_url
from hubbub.core.errors import ConfigurationError

__all__ = ["Broker", "HistoryPage", "MemoryBroker", "Receiver", "broker_from_url"]

_SCHEMES: Final = {
    "memory": ("hubbub.brokers.memory", "MemoryBroker", ""),
    "sqlite": ("hubbub.brokers.sqlite", "SqliteBroker", ""),
    "embedded": ("hubbub.brokers.embedded", "EmbeddedBroker", "embedded"),
    "redis": ("hubbub.brokers.redis", "RedisBroker", "redis"),
    "rediss": ("hubbub.brokers.redis", "RedisBroker", "redis"),
    "redis+sentinel": ("hubbub.brokers.redis", "RedisBroker", "redis"),
    "redis+cluster": ("hubbub.brokers.redis", "RedisBroker", "redis"),
    "unix": ("hubbub.brokers.redis", "RedisBroker", "redis"),
    "nats": ("hubbub.brokers.nats", "NatsBroker", "nats"),
    "tls": ("hubbub.brokers.nats", "NatsBroker", "nats"),
}
"""Scheme: module, class, and the extra that its library comes with. Imported only when asked for."""


def broker_from_url(url: str) -> Broker:
    """The broker for a URL like ``memory://`` or ``redis://localhost``.

    Raises:
        ConfigurationError: if no broker has the URL's scheme, if its library is not installed, or if the URL
            cannot work.
    """
    scheme = split_url(url).scheme
    if scheme not in _SCHEMES:
        known = ", ".join(f"{name}://" for name in _SCHEMES)
        named = "what is no URL" if "@" in url else repr(url)  # a password may be in it
        if scheme and "://" in url:
            named = f"{scheme}://"
        raise ConfigurationError(f"No broker for {named}; there are {known}")
    module, name, extra = _SCHEMES[scheme]
    try:
        kind = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").startswith("hubbub"):
            raise
        raise ConfigurationError(f'{scheme}:// needs a library: pip install "hubbub[{extra}]"') from error
    broker: Broker = kind.from_url(url)
    return broker
