"""Brokers are chosen by URL."""

import pytest

from hubbub import ConfigurationError
from hubbub.brokers import MemoryBroker, broker_from_url


def test_memory_is_a_broker() -> None:
    assert isinstance(broker_from_url("memory://"), MemoryBroker)


@pytest.mark.parametrize("url", ["", "memory", "kafka://localhost", "://", "redis"])
def test_an_unknown_url_is_refused_and_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="memory://"):
        broker_from_url(url)


@pytest.mark.parametrize("scheme", ["memory", "sqlite", "embedded", "redis", "nats", "kafka"])
def test_a_host_that_is_none_is_refused_as_any_url_that_cannot_work(scheme: str) -> None:
    with pytest.raises(ConfigurationError):
        broker_from_url(f"{scheme}://[::1")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kafka://user:hunter2@localhost", "No broker for kafka://; there are "),
        ("user:hunter2@localhost:6379", "No broker for what is no URL; there are "),
        ("localhost:6379", "No broker for 'localhost:6379'; there are "),
    ],
)
def test_the_password_of_a_url_is_not_repeated(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        broker_from_url(url)
    assert str(caught.value).startswith(said)
    assert "hunter2" not in str(caught.value)
