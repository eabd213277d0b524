"""Which clients count as one: what limits of an address are counted by."""

import ipaddress
from typing import Final

from hubbub.asgi.events import Scope, header

_FORWARDING: Final = (b"x-forwarded-for", b"forwarded")
"""Headers by which a proxy says for whom it speaks."""


def client_address(scope: Scope) -> str | None:
    """The address that a client is counted by: of IPv6 the first 64 bits, which one subscriber has.

    None where it says nothing about the client: on this machine itself, on a socket without addresses, and
    behind a proxy in a private network that the server was not told to believe. Then the address is the
    proxy's, and all clients would count as one. Over public addresses a client cannot get itself such a place
    by adding a header.
    """
    client = scope.get("client")
    if not client:
        return None
    host, port = client[0], client[1]
    key, public = _known(host)
    # uvicorn puts port 0 beside an address that a trusted proxy has told.
    if key is None or public or port == 0:
        return key
    return None if any(header(scope, name) is not None for name in _FORWARDING) else key


def _known(host: str) -> tuple[str | None, bool]:
    """What the address counts as, None for none; and whether it is one of the Internet's."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None, False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            network = ipaddress.ip_network((address, 64), strict=False)
            return (None, False) if address.is_loopback else (str(network), address.is_global)
        address = address.ipv4_mapped
    return (None, False) if address.is_loopback else (str(address), address.is_global)
