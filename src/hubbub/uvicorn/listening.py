"""Listening on bound sockets, with a limit of the TLS handshake: uvicorn has no option for it."""

import asyncio
import socket
from collections.abc import Iterable
from functools import partial
from typing import Final

from uvicorn.server import Server

TLS_TIMEOUT: Final = 10.0
"""Seconds that a TLS handshake may take: as long as the head of a request."""


async def listen(server: Server, sockets: Iterable[socket.socket], tls_timeout: float = TLS_TIMEOUT) -> None:
    """Do what uvicorn's `Server.startup` does with sockets that it is given. It was called without any.

    Args:
        server: its configuration is loaded, and its lifespan has begun.
        sockets: bound.
        tls_timeout: seconds until a client is dropped that does not go on with its TLS handshake.
    """
    config, loop = server.config, asyncio.get_running_loop()
    protocol = partial(
        config.http_protocol_class,
        config=config,  # type: ignore[call-arg]  # all of uvicorn's protocols take these
        server_state=server.server_state,
        app_state=server.lifespan.state,
    )
    for one in sockets:
        listener = await loop.create_server(
            protocol,
            sock=one,
            ssl=config.ssl,
            ssl_handshake_timeout=tls_timeout if config.ssl is not None else None,
            backlog=config.backlog,
        )
        server.servers.append(listener)
