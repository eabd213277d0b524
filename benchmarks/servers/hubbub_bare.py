"""The Hub on a bare ASGI app: no framework's route or middleware between the socket and the hub."""

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from hubbub import Hub

hub = Hub("memory://")


async def lifespan_of(hub: Hub, receive: Receive, send: Send) -> None:
    """Holds the hub open from the server's start to its end (ASGI lifespan protocol)."""
    await receive()
    async with hub:
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Fan-out on every path but `/echo`."""
    if scope["type"] == "lifespan":
        await lifespan_of(hub, receive, send)
        return
    websocket = WebSocket(scope, receive, send)
    if scope["path"] == "/echo":
        async with hub.connection(websocket) as me:
            async for text in me.iter_text():
                await me.send(text)
        return
    async with hub.connection(websocket) as me, me.join("bench"):
        async for text in me.iter_text():
            await hub.broadcast_to_room("bench", text)
