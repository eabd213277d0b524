"""Listening with TLS: nobody keeps a connection without a handshake."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from uvicorn import Config, Server

from hubbub.uvicorn.listening import listen


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answers every request."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def listening(certificate: Path, tls_timeout: float) -> AsyncIterator[int]:
    """A server that has started without sockets and then listens on one; its port."""
    http = "hubbub.uvicorn:HttpProtocol"
    config = Config(hello, http=http, lifespan="off", log_config=None, ssl_certfile=certificate)
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        await server.startup([])
        await listen(server, [bound], tls_timeout)
        try:
            yield bound.getsockname()[1]
        finally:
            await server.shutdown()


async def check(certificate: Path) -> None:
    async with listening(certificate, 0.2) as port:
        silent, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(silent.read(), 10) == b""
        writer.close()
    async with listening(certificate, 10) as port:
        tls = ssl.create_default_context(cafile=str(certificate))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"hello")
        writer.close()


def test_a_client_that_does_not_begin_its_tls_handshake_is_dropped(certificate: Path) -> None:
    for factory in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(check(certificate))
