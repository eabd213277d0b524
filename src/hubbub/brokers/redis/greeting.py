"""What a Redis server says to a connection that it does not want, before anything is asked.

A server in protected mode, or with as many clients as it takes, says so and closes. Who has sent something
by then gets a reset and does not see it, so this looks without sending.
https://redis.io/docs/latest/operate/oss_and_stack/management/security/#protected-mode
"""

import asyncio

from hubbub.brokers.redis.url import Address

SILENCE = 0.5
"""Seconds after which a server that says nothing has nothing against us."""

LONGEST = 300
"""Characters of what it says that are shown."""


async def unfriendly_greeting(address: Address) -> str | None:
    """The error with which it meets new TCP connections; None if it says none, or cannot be reached."""
    if address.path:
        return None
    try:
        async with asyncio.timeout(SILENCE):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                said = await reader.read(LONGEST)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return None
    return said[1:].decode(errors="replace").splitlines()[0].strip() if said.startswith(b"-") else None
