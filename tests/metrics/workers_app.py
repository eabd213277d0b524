"""An app whose workers share their figures; each has rooms of its own."""

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from hubbub import Hub
from hubbub.metrics import metrics_routes

hub = Hub()


async def room(websocket: WebSocket) -> None:
    """Echo to everybody in the room of this process."""
    async with hub.connection(websocket) as me, me.join("r"):
        async for text in me.iter_text():
            await hub.broadcast_to_room("r", text)


routes = metrics_routes(hub, folder=Path(os.environ["METRICS_FOLDER"]))
app = Starlette(routes=[*routes, WebSocketRoute("/room", room)], lifespan=hub.lifespan)
