"""Hubbub with rooms that remember, on the broker that the environment variable BENCH_BROKER names."""

import os

from fastapi import FastAPI, WebSocket

from hubbub import History, Hub

hub = Hub(os.environ.get("BENCH_BROKER", "memory://"))
hub.room("{name}", history=History())
app = FastAPI(lifespan=hub.lifespan)


@app.websocket("/ws")
async def fan_out(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("bench"):
        async for text in me.iter_text():
            await hub.broadcast_to_room("bench", text)


@app.websocket("/rooms")
async def rooms(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        for room in (await me.receive_text()).split()[1:]:
            await me.join(room)
        await me.send("joined")
        async for text in me.iter_text():
            _, room, payload = text.split(" ", 2)
            await hub.broadcast_to_room(room, payload)


@app.websocket("/chat")
async def chat(websocket: WebSocket) -> None:
    """One room, whichever rooms the load generator asks for."""
    async with hub.connection(websocket) as me:
        await me.receive_text()
        async with me.join("chat"):
            await me.send("joined")
            async for text in me.iter_text():
                await hub.broadcast_to_room("chat", text.split(" ", 2)[2])
