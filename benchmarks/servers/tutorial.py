"""The manager that FastAPI's WebSocket tutorials teach: lists of sockets, and a loop that awaits each."""

import json
from collections import defaultdict
from typing import Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect


class ConnectionManager:
    """Knows who is connected and who is in which room."""

    def __init__(self) -> None:
        self.active_connections: list[WebSocket] = []
        self.rooms: dict[str, list[WebSocket]] = defaultdict(list)

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active_connections.append(websocket)

    def disconnect(self, websocket: WebSocket) -> None:
        self.active_connections.remove(websocket)

    def join(self, room: str, websocket: WebSocket) -> None:
        self.rooms[room].append(websocket)

    def leave(self, room: str, websocket: WebSocket) -> None:
        self.rooms[room].remove(websocket)
        if not self.rooms[room]:
            del self.rooms[room]

    async def broadcast(self, message: str) -> None:
        for connection in self.active_connections:
            await connection.send_text(message)

    async def broadcast_to_room(self, room: str, message: str) -> None:
        for connection in self.rooms.get(room, []):
            await connection.send_text(message)


manager = ConnectionManager()
app = FastAPI()


@app.websocket("/ws")
async def fan_out(websocket: WebSocket) -> None:
    await manager.connect(websocket)
    try:
        while True:
            await manager.broadcast(await websocket.receive_text())
    except WebSocketDisconnect:
        manager.disconnect(websocket)


@app.websocket("/json")
async def fan_out_json(websocket: WebSocket) -> None:
    await manager.connect(websocket)
    try:
        while True:
            message: dict[str, Any] = await websocket.receive_json()
            await manager.broadcast(json.dumps({"from": message["from"], "text": message["text"]}))
    except WebSocketDisconnect:
        manager.disconnect(websocket)


@app.websocket("/rooms")
async def rooms(websocket: WebSocket) -> None:
    await manager.connect(websocket)
    joined = (await websocket.receive_text()).split()[1:]
    for room in joined:
        manager.join(room, websocket)
    await websocket.send_text("joined")
    try:
        while True:
            _, room, text = (await websocket.receive_text()).split(" ", 2)
            await manager.broadcast_to_room(room, text)
    except WebSocketDisconnect:
        for room in joined:
            manager.leave(room, websocket)
        manager.disconnect(websocket)


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass
