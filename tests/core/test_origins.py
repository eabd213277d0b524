"""Which pages may connect."""

import pytest

from hubbub.core.errors import ConfigurationError, OriginRefused
from hubbub.core.origins import Origins


def allows(origins: Origins, origin: str | None, host: str | None) -> bool:
    try:
        origins.check(origin, host)
    except OriginRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://example.com", "example.com"),
        ("https://example.com", "example.com:443"),
        ("https://example.com:443", "example.com"),
        ("http://example.com", "example.com:80"),
        ("http://example.com:8000", "example.com:8000"),
        ("http://EXAMPLE.com", "example.COM"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        (None, "example.com"),
        (None, None),
    ],
)
def test_the_same_origin_and_clients_without_one_may_connect(origin: str | None, host: str | None) -> None:
    assert allows(Origins(), origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "example.com"),
        ("http://example.com:8001", "example.com:8000"),
        ("http://example.com", "example.com:8000"),
        ("https://example.com", "example.com:80"),
        ("http://example.com", "example.com:443"),
        ("https://example.com.evil.example", "example.com"),
        ("https://notexample.com", "example.com"),
        ("https://sub.example.com", "example.com"),
        ("https://example.com@evil.example", "example.com"),
        ("https://example.com:443@evil.example", "example.com"),
        ("https://evil.example#@example.com", "example.com"),
        ("https://evil.example?.example.com", "example.com"),
        ("https://example.com/", "example.com"),
        ("https://example.com/path", "example.com"),
        ("null", "example.com"),
        ("null", "null"),
        ("", "example.com"),
        ("", ""),
        ("example.com", "example.com"),
        ("//example.com", "example.com"),
        ("https://", ""),
        ("file://", "example.com"),
        ("https://example.com:99999", "example.com:99999"),
        ("https://example.com:x", "example.com:x"),
        ("https://[::1", "[::1"),
        ("https://example.com", None),
        ("https://example.com", ""),
        ("https://example.com https://evil.example", "example.com"),
        ("https://example.com", "evil.example@example.com"),
    ],
)
def test_another_origin_may_not(origin: str, host: str | None) -> None:
    assert not allows(Origins(), origin, host)


def test_an_allowed_origin_is_that_origin_exactly() -> None:
    origins = Origins(["https://app.example.com", "http://localhost:3000"])
    assert allows(origins, "https://app.example.com", "api.example.com")
    assert allows(origins, "https://APP.example.com:443", "api.example.com")
    assert allows(origins, "http://localhost:3000", "api.example.com")
    assert allows(origins, "https://api.example.com", "api.example.com")
    for other in (
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "http://localhost",
        "null",
    ):
        assert not allows(origins, other, "api.example.com"), other


def test_a_socket_that_is_known_to_be_encrypted_is_not_opened_by_a_page_that_is_not() -> None:
    Origins().check("https://example.com", "example.com", secure=True)
    with pytest.raises(OriginRefused):
        Origins().check("http://example.com", "example.com", secure=True)


def test_one_origin_may_be_given_as_a_plain_string() -> None:
    assert allows(Origins("https://app.example.com"), "https://app.example.com", "x")


def test_a_star_allows_every_page() -> None:
    for origins in (Origins("*"), Origins(["https://a.example", "*"])):
        assert allows(origins, "https://evil.example", "example.com")
        assert allows(origins, "null", None)


@pytest.mark.parametrize(
    "entry",
    [
        "example.com",
        "https://example.com/",
        "https://*.example.com/x",
        "null",
        "",
        "https://a@b",
        "https://a:x",
    ],
)
def test_an_entry_that_is_no_origin_is_refused_at_once(entry: str) -> None:
    with pytest.raises(ConfigurationError):
        Origins([entry])


def test_a_pattern_would_allow_nothing_and_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no '\*' in it"):
        Origins(["https://*.example.com"])
