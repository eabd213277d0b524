"""What FastAPI's WebSocket tutorials teach for several workers: a Redis channel that each listens to."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

CHANNEL = "chat"
client = redis.from_url(os.environ.get("BENCH_BROKER", "redis://127.0.0.1:6379"))
local_connections: list[WebSocket] = []


async def relay() -> None:
    """Send what any worker has published to the connections of this one."""
    pubsub = client.pubsub()
    await pubsub.subscribe(CHANNEL)
    async for message in pubsub.listen():
        if message["type"] == "message":
            text = message["data"].decode()
            for connection in local_connections:
                await connection.send_text(text)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    listener = asyncio.create_task(relay())
    yield
    listener.cancel()
    await client.aclose()


app = FastAPI(lifespan=lifespan)


@app.websocket("/chat")
async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    local_connections.append(websocket)
    await websocket.send_text("joined")
    try:
        while True:
            text = await websocket.receive_text()
            await client.publish(CHANNEL, text.split(" ", 2)[2])
    except WebSocketDisconnect:
        local_connections.remove(websocket)
