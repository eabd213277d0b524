"""What clients of the tutorial app say."""

from socket_client import heard
from websockets.asyncio.client import ClientConnection

LIMIT = 65_536
TEXTS = ["hello", "", "é 🦉 名前", '"\\\n\t\u2028\x00', "<script>alert(1)</script>", "x" * LIMIT]


async def ask(client: ClientConnection, message: str | bytes) -> str | bytes:
    """Send, and return the next message."""
    await client.send(message)
    return await heard(client)
