"""An app for the tests of Hub: tokens, methods, rooms of the server's own.

Its secret comes from the environment.
"""

import os
import time
from typing import Annotated, Any

import jwt
from fastapi import Body, Depends, FastAPI, HTTPException, Request
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub import Allow, Connection, History, Hub
from hubbub.fastapi import current_client
from hubbub.gateway import TokenVerifier

SECRET = os.environ["HUB_APP_SECRET"]
KEEP = History(size=100, ttl=60.0)

hub = Hub(tokens=TokenVerifier(SECRET, leeway=0))
hub.room(
    "open:{name}", history=KEEP, force_recovery=True, allow_subscribe=Allow.USER, allow_publish=Allow.USER
)
hub.room("secret:{name}", history=KEEP, allow_publish=Allow.SUBSCRIBER)
hub.room("news:{name}", history=KEEP, force_recovery=True)
app = FastAPI(lifespan=hub.lifespan)
app.router.routes.extend(hub.routes)


class WithoutWebSockets:
    """Refuses the handshakes whose query says `blocked`, as some networks refuse all."""

    def __init__(self, inner: ASGIApp) -> None:
        self.inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and scope["query_string"] == b"blocked":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self.inner(scope, receive, send)


app.add_middleware(WithoutWebSockets)
app.mount("/js", StaticFiles(packages=[("hubbub", "js")]))


@hub.rpc("add")
async def add(numbers: Annotated[list[int], Body()]) -> int:
    return sum(numbers)


@hub.rpc("whoami")
async def whoami(me: Annotated[Connection, Depends(current_client)]) -> str:
    if me.user is None:
        raise HTTPException(401)
    return me.user.id


@app.get("/")
async def blank() -> str:
    return "a page"


@app.post("/token")
async def token(claims: Annotated[dict[str, Any], Body()], ttl: float = 60.0) -> str:
    return jwt.encode({"sub": "ada", "exp": time.time() + ttl, **claims}, SECRET)


@app.post("/publish/{room}")
async def publish(room: str, request: Request) -> None:
    await hub.broadcast_to_room(room, (await request.body()).decode())


@app.post("/drop")
async def drop(code: int) -> None:
    for connection in hub.connections:
        connection.end(code, "dropped")
