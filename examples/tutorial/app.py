"""The FastAPI WebSocket tutorial, section by section, on the hub.

Run it with ``uvicorn examples.tutorial.app:app``. It takes from the environment:

- HUBBUB_BROKER: the broker's URL; ``memory://`` unless given.
- HUBBUB_SECRET: signs tokens, at least 32 bytes; a new one at every start unless given.
- HUBBUB_API_KEY: for ``POST /admin/broadcast``, which is off without it.
- HUBBUB_PING_INTERVAL, HUBBUB_PING_TIMEOUT: the heartbeat of ``/ws/heartbeat``, in seconds.
"""

import os
import pathlib
import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Body, Depends, FastAPI, HTTPException, Path, Query, Request, WebSocket
from starlette.websockets import WebSocketDisconnect

from hubbub import Heartbeat, Hub, InvalidMessage, Refused, User
from hubbub.auth import Tickets, Tokens
from hubbub.fastapi import ApiKey, Auth, Source

SECRET = os.environ.get("HUBBUB_SECRET") or secrets.token_urlsafe(32)
THUMBNAIL = pathlib.Path(__file__).with_name("thumbnail.png").read_bytes()

hub = Hub(
    os.environ.get("HUBBUB_BROKER", "memory://"),
    heartbeat=Heartbeat(
        interval=float(os.environ.get("HUBBUB_PING_INTERVAL", "15")),
        timeout=float(os.environ.get("HUBBUB_PING_TIMEOUT", "10")),
    ),
)
auth = Auth(hub, Tokens(SECRET), tickets=Tickets(SECRET, hub.claim))
app = FastAPI(title="The WebSocket tutorial on Hubbub", lifespan=hub.lifespan)

Username = Annotated[str, Query(max_length=64)]
# Not "{client_id:int}": Starlette's convertor fails, with a traceback, for more digits than Python converts.
ClientId = Annotated[int, Path(ge=0, lt=2**63)]


# Accepting connections


@app.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for text in me.iter_text():
            await me.send(f"Echo: {text}")


@app.websocket("/ws/greet/{room_id}")
async def greet(websocket: WebSocket, room_id: str, username: Username = "anonymous") -> None:
    async with hub.connection(websocket) as me:
        async for text in me.iter_text():
            await me.send(f"[{room_id}] {username}: {text}")


# Receiving messages


@app.websocket("/ws/text")
async def receive_text(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for text in me.iter_text():
            await me.send(f"Text: {text}")


@app.websocket("/ws/binary")
async def receive_binary(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for data in me.iter_bytes():
            await me.send(f"Received {len(data)} bytes")


@app.websocket("/ws/json")
async def receive_json(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for payload in me.iter_json():
            if not isinstance(payload, dict):
                raise InvalidMessage("Expected a JSON object")
            await me.send(f"Action: {payload.get('action')}")


@app.websocket("/ws/any")
async def receive_any(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for message in me:
            if isinstance(message, str):
                await me.send(f"Text: {message}")
            else:
                await me.send(f"Bytes: {len(message)} bytes")


# Sending messages


@app.websocket("/ws/demo")
async def demo(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        await me.send("Welcome to the server!")
        await me.send(
            {"type": "connected", "user_count": hub.connection_count, "server_time": datetime.now(UTC)}
        )
        await me.send(THUMBNAIL)
        async for text in me.iter_text():
            await me.send({"echo": text, "length": len(text)})


# Connection manager: the tutorial's own style, with its class swapped

manager = hub


@app.websocket("/ws/client/{client_id}")
async def client(websocket: WebSocket, client_id: ClientId) -> None:
    await manager.join("clients", websocket)
    try:
        while True:
            data = await websocket.receive_text()
            await manager.send_personal(f"You said: {data}", websocket)
            await manager.broadcast_to_room("clients", f"Client #{client_id}: {data}")
    except WebSocketDisconnect:
        manager.disconnect(websocket)
        await manager.broadcast_to_room("clients", f"Client #{client_id} left")


# Rooms


@app.websocket("/ws/room/{room}")
async def room_chat(websocket: WebSocket, room: str, username: Username = "anonymous") -> None:
    name = f"room:{room}"
    async with hub.connection(websocket) as me, me.join(name):
        await hub.broadcast_to_room(name, f"A new user joined #{room}")
        try:
            async for text in me.iter_text():
                await hub.broadcast_to_room(name, f"[{room}] {username}: {text}")
        finally:
            me.leave(name)
            await hub.broadcast_to_room(name, f"{username} left")


# Broadcast, from an HTTP endpoint


@app.websocket("/ws/alerts")
async def alerts(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("alerts"):
        await me.wait_closed()


@app.post("/admin/broadcast", dependencies=[Depends(ApiKey(os.environ.get("HUBBUB_API_KEY")))])
async def admin_broadcast(
    message: str | None = None, body: Annotated[dict[str, str] | None, Body()] = None
) -> dict[str, int]:
    text = message if message is not None else (body or {}).get("message")
    if text is None:
        raise HTTPException(422, 'Give ?message=… or {"message": "…"}')
    await hub.broadcast_to_room(
        "alerts", {"type": "admin_alert", "data": {"message": text}, "ts": datetime.now(UTC)}
    )
    return {"sent_to": hub.room_count("alerts")}


# Authentication: options A, B and C, and all ways at once


@app.websocket("/ws/query")
async def query_token(websocket: WebSocket, user: Annotated[User, Depends(auth.only(Source.QUERY))]) -> None:
    async with hub.connection(websocket) as me:
        await me.send({"type": "auth_ok", "user": user.id})
        async for text in me.iter_text():
            await me.send(f"[{user.id}]: {text}")


@app.websocket("/ws/secure")
async def first_message(
    websocket: WebSocket, user: Annotated[User, Depends(auth.only(Source.FIRST_MESSAGE))]
) -> None:
    async with hub.connection(websocket) as me:
        await me.send({"type": "auth_ok", "user": user.id})
        async for data in me.iter_json():
            await me.send({"echo": data})


@app.websocket("/ws/cookie")
async def session_cookie(
    websocket: WebSocket, user: Annotated[User, Depends(auth.only(Source.COOKIE))]
) -> None:
    async with hub.connection(websocket) as me:
        await me.send({"type": "auth_ok", "user": user.id})
        async for text in me.iter_text():
            await me.send(f"[{user.id}]: {text}")


@app.post("/ticket")
async def ticket(request: Request, user: Annotated[User, Depends(auth.http)]) -> dict[str, str]:
    return {"ticket": auth.ticket(user, request)}


@app.websocket("/ws/me")
async def whoever(websocket: WebSocket, user: Annotated[User, Depends(auth)]) -> None:
    async with hub.connection(websocket) as me:
        await me.send({"type": "auth_ok", "user": user.id})
        async for text in me.iter_text():
            await me.send(f"[{user.id}]: {text}")


# Heartbeat


@app.websocket("/ws/heartbeat")
async def heartbeat(websocket: WebSocket) -> None:
    async with hub.connection(websocket, heartbeat=True) as me:
        async for text in me.iter_text():
            await me.send(f"Echo: {text}")


# The complete chat


@app.websocket("/chat/{room}")
async def chat(websocket: WebSocket, room: str, username: Username = "anonymous") -> None:
    name = f"chat:{room}"
    async with hub.connection(websocket) as me, me.join(name):
        if username.lower() == "system":
            raise Refused("The name is taken by the notices")
        await hub.broadcast_to_room(name, {"from": "system", "text": f"{username} joined"})
        try:
            async for text in me.iter_text():
                await hub.broadcast_to_room(name, {"from": username, "text": text})
        finally:
            me.leave(name)
            await hub.broadcast_to_room(name, {"from": "system", "text": f"{username} left"})
