"""Hubbub as its documentation shows it: the Hub's own API in FastAPI routes."""

from fastapi import FastAPI, WebSocket

from hubbub import Hub

hub = Hub("memory://")
app = FastAPI(lifespan=hub.lifespan)


@app.websocket("/ws")
async def fan_out(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("bench"):
        async for text in me.iter_text():
            await hub.broadcast_to_room("bench", text)


@app.websocket("/json")
async def fan_out_json(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("bench"):
        async for message in me.iter_json():
            await hub.broadcast_to_room("bench", {"from": message["from"], "text": message["text"]})


@app.websocket("/rooms")
async def rooms(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for text in me.iter_text():
            verb, rest = text.split(" ", 1)
            if verb == "pub":
                room, payload = rest.split(" ", 1)
                await hub.broadcast_to_room(room, payload)
                continue
            for room in rest.split():
                await hub.join(room, websocket)
            await me.send("joined")


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me:
        async for text in me.iter_text():
            await me.send(text)
