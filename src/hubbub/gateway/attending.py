"""One client's stay, from its handshake to its end, on whatever transport."""

import asyncio
import logging

from hubbub.core.errors import Disconnected
from hubbub.gateway.client import Client
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.service import SERVER_ERROR, SHUTDOWN, Service

_logger = logging.getLogger("hubbub")


async def attend(
    client: Client, service: Service, everywhere: Everywhere, transport: str, session: str = ""
) -> None:
    """Drive a client until it has gone, and tidy up.

    Args:
        client: just made.
        service: what it shares with the others.
        everywhere: knows all clients.
        transport: ``websocket``, ``sse`` or ``http_stream``.
        session: the secret with which other requests speak for it; empty for none.
    """
    connection = client.connection
    everywhere.came(client, transport, session)
    try:
        await client.run()
    except Disconnected:
        await client.end()
    except asyncio.CancelledError:
        connection.end(*SHUTDOWN)
        await client.end()
        raise
    except Exception:
        _logger.exception("closing %s", connection.id)
        connection.end(*SERVER_ERROR)
        await client.end()
    finally:
        everywhere.went(client)
        if service.hub.running:
            service.hub.disconnect(connection)
    await connection.finish()
