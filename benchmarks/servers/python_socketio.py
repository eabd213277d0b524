"""python-socketio's AsyncServer as an ASGI app: `pub` from a client goes to all. WebSocket only."""

from typing import Any

import socketio

server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"], cors_allowed_origins=[])
app = socketio.ASGIApp(server)


@server.on("pub")  # type: ignore[untyped-decorator]
async def pub(sid: str, text: Any) -> None:
    await server.emit("pub", text)
