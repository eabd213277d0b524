"""Which clients count as one."""

import pytest

from hubbub.asgi.addresses import client_address

FORWARDED = [(b"x-forwarded-for", b"203.0.113.9")]


@pytest.mark.parametrize(
    ("client", "headers", "address"),
    [
        (("203.0.113.5", 4711), [], "203.0.113.5"),
        (("10.1.2.3", 4711), [], "10.1.2.3"),
        (("::ffff:203.0.113.5", 4711), [], "203.0.113.5"),
        (("2001:db8:1:2:3:4:5:6", 4711), [], "2001:db8:1:2::/64"),
        (("2001:db8:1:2:ffff::", 4711), [], "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 4711), [], "fe80::/64"),
        (("127.0.0.1", 4711), [], None),
        (("127.8.9.1", 4711), [], None),
        (("::1", 4711), [], None),
        (("::ffff:127.0.0.1", 4711), [], None),
        (("testclient", 50_000), [], None),
        (None, [], None),
        # Told by a proxy that is believed: uvicorn has put the port 0 beside it.
        (("203.0.113.5", 0), FORWARDED, "203.0.113.5"),
        (("10.1.2.3", 0), FORWARDED, "10.1.2.3"),
        # A proxy that nobody has named: all its clients would count as one.
        (("10.1.2.3", 4711), FORWARDED, None),
        (("172.17.0.1", 4711), [(b"forwarded", b"for=203.0.113.9")], None),
        # A client of the Internet does not get out of its limits with a header.
        (("8.8.8.8", 4711), FORWARDED, "8.8.8.8"),
        (("2a00:1450::1", 4711), FORWARDED, "2a00:1450::/64"),
    ],
)
def test_the_address_that_a_client_counts_for(
    client: tuple[str, int] | None, headers: list[tuple[bytes, bytes]], address: str | None
) -> None:
    assert client_address({"client": client, "headers": headers}) == address
