"""Hubbub's Centrifuge endpoint in front of a bare ASGI app, with rooms that remember."""

from starlette.types import Receive, Scope, Send

from benchmarks.servers.hubbub_bare import lifespan_of
from hubbub import Allow, History, Hub

hub = Hub("memory://", anonymous=True)
hub.room("{name}", history=History(), allow_subscribe=Allow.ANYONE, allow_publish=Allow.ANYONE)


async def other(scope: Scope, receive: Receive, send: Send) -> None:
    """Everything but the protocol's WebSocket: only the lifespan is asked for."""
    assert scope["type"] == "lifespan"
    await lifespan_of(hub, receive, send)


app = hub.gateway.before(other)
