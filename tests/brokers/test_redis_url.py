"""What Redis URLs say, and which of them are refused."""

import pytest

from hubbub import BrokerError, ConfigurationError
from hubbub.brokers.redis import RedisBroker
from hubbub.brokers.redis.url import Address, Login, Settings, Tls


class Nobody:
    """A receiver of nothing."""

    def publication(self, publication: object) -> None:
        """Called by the broker."""

    def passed(self, room: str, position: object) -> None: ...

    def interrupted(self, room: str, position: object) -> None:
        """Called by the broker."""


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("redis://", Settings()),
        ("redis://localhost", Settings()),
        ("redis://cache:7000/3", Settings(addresses=(Address("cache", 7000),), db=3)),
        ("redis://cache?db=3", Settings(addresses=(Address("cache"),), db=3)),
        ("redis://[::1]:7000", Settings(addresses=(Address("::1", 7000),))),
        ("redis://ada:p%40ss%2F@cache", Settings(addresses=(Address("cache"),), login=Login("ada", "p@ss/"))),
        ("redis://:secret@cache", Settings(addresses=(Address("cache"),), login=Login(None, "secret"))),
        ("rediss://cache", Settings(addresses=(Address("cache"),), tls=Tls())),
        (
            "rediss://cache?tls_verify=false&tls_ca_file=/ca.pem",
            Settings(addresses=(Address("cache"),), tls=Tls(verify=False, ca_file="/ca.pem")),
        ),
        ("unix:///run/valkey.sock", Settings(addresses=(Address(path="/run/valkey.sock"),))),
        ("unix:///run/a%20b?db=2", Settings(addresses=(Address(path="/run/a b"),), db=2)),
        (
            "redis+sentinel://one,two:7001/main/4?sentinel_password=s",
            Settings(
                addresses=(Address("one", 26379), Address("two", 7001)),
                service="main",
                db=4,
                sentinel_login=Login(None, "s"),
            ),
        ),
        (
            "redis+cluster://one:7000,two?tls=true",
            Settings(addresses=(Address("one", 7000), Address("two")), cluster=True, tls=Tls()),
        ),
        (
            "redis+cluster://one:7000,[::1]:7001,[::2]",
            Settings(addresses=(Address("one", 7000), Address("::1", 7001), Address("::2")), cluster=True),
        ),
        (
            "redis://?prefix=app-1&timeout=9&connect_timeout=1.5&ping_interval=0.5&ping_timeout=1",
            Settings(prefix="app-1", timeout=9, connect_timeout=1.5, ping_interval=0.5, ping_timeout=1),
        ),
    ],
)
def test_a_url_is_read(url: str, settings: Settings) -> None:
    assert Settings.from_url(url) == settings


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://cache", "redis://"),
        ("redis://cache/one", "number of a database"),
        ("redis://cache/1/2", "number of a database"),
        ("redis://cache/-1", "number of a database"),
        ("redis://cache:99999", "host"),
        ("redis://:hunter2/x@cache", "percent-encoding"),
        ("redis://[::1", "percent-encoding"),
        ("redis://a,b", "host"),
        ("redis+sentinel://cache", "service"),
        ("redis+cluster://cache/1", "no database numbers"),
        ("unix://cache/run", "unix:///path"),
        ("unix://", "unix:///path"),
        ("unix:///run/a?tls=true", "no TLS"),
        ("redis://cache?tls_verify=false", "without TLS"),
        ("redis://cache?retries=3", "retries"),
        ("redis://cache?timeout=soon", "timeout"),
        ("redis://cache?timeout=nan", "timeout"),
        ("redis://cache?timeout=0", "timeout"),
        ("redis://cache?tls=maybe", "tls"),
        ("redis://cache?ping_interval=3", "ping_timeout"),
        ("redis://cache?prefix={x}", "prefix"),
    ],
)
def test_a_url_that_cannot_work_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        RedisBroker.from_url(url)
    assert "hunter2" not in str(caught.value)


def test_the_password_is_not_shown() -> None:
    settings = Settings.from_url("redis+sentinel://ada:hunter2@cache/main?sentinel_password=hunter2")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@127.0.0.1:1",
        "unix:///nowhere/hubbub.sock",
        "redis+sentinel://:hunter2@127.0.0.1:1/main",
        "redis+cluster://:hunter2@127.0.0.1:1",
        "redis://:hunter2@host.invalid",
    ],
)
async def test_a_server_that_is_not_there_is_an_error_at_the_start(url: str) -> None:
    broker = RedisBroker.from_url(url)
    with pytest.raises(BrokerError) as caught:
        await broker.start(Nobody())
    assert "hunter2" not in str(caught.value)
    assert not broker.connected
