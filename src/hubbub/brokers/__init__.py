"""Brokers, chosen by URL. Each has its own file, and imports its client library there and nowhere else."""

from urllib.parse import urlsplit

from hubbub.brokers.base import Broker, HistoryPage
from hubbub.brokers.memory import MemoryBroker
from hubbub.core.errors import ConfigurationError

__all__ = ["Broker", "HistoryPage", "MemoryBroker", "broker_from_url"]


def broker_from_url(url: str) -> Broker:
    """The broker for a URL like ``memory://``.

    Raises:
        ConfigurationError: if no broker has the URL's scheme.
    """
    scheme = urlsplit(url).scheme
    if scheme == "memory":
        return MemoryBroker()
    raise ConfigurationError(f"No broker for {scheme + '://' if scheme else url!r}; there is memory://")
