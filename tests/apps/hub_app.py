"""The app whose hub is under test on real servers. Limits come from the environment."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from hubbub import Heartbeat, Hub, Limits


def from_environment(name: str) -> dict[str, float]:
    return json.loads(os.environ.get(name, "{}"))  # type: ignore[no-any-return]


hub = Hub(
    limits=Limits(**from_environment("HUB_APP_LIMITS")),  # type: ignore[arg-type]
    heartbeat=Heartbeat(**from_environment("HUB_APP_HEARTBEAT")),
    origins=["https://friend.example"],
)
endings: dict[str, list[object]] = {}
"""How visitors left, by the name they gave."""


class PlannedCrash(Exception):
    """Raised on purpose."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with hub:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/state")
async def state() -> dict[str, object]:
    gc.collect()
    return {
        "connections": hub.connection_count,
        "rooms": {room: hub.room_count(room) for room in hub.rooms},
        "tasks": len(asyncio.all_tasks()),
        "endings": endings,
        "slow": hub.stats.slow,
        "dead": hub.stats.dead,
        "opened": hub.stats.opened,
    }


@app.post("/publish/{room}")
async def publish(room: str, text: str, count: int = 1) -> dict[str, int]:
    for _ in range(count):
        await hub.broadcast_to_room(room, text)
    return {"members": hub.room_count(room)}


@app.get("/waiting/{room}")
async def waiting(room: str) -> int:
    return max((member.transport.buffered for member in hub.members(room)), default=0)


@app.websocket("/room/{room:path}")
async def room(websocket: WebSocket, room: str, name: str = "") -> None:
    async with hub.connection(websocket) as me, me.join(room):
        async for message in me:
            await hub.broadcast_to_room(room, message)
        if name and me.closed:
            endings[name] = [int(me.closed.code), me.closed.reason]


@app.websocket("/both/{first}/{second}")
async def both(websocket: WebSocket, first: str, second: str) -> None:
    async with hub.connection(websocket) as me, me.join(first), me.join(second):
        await me.wait_closed()


@app.websocket("/tutorial/{room:path}")
async def tutorial(websocket: WebSocket, room: str, name: str = "") -> None:
    await hub.connect(websocket)
    await hub.join(room, websocket)
    try:
        while True:
            event = await websocket.receive()
            websocket._raise_on_disconnect(event)
            text = event.get("text")
            await hub.broadcast_to_room(room, event["bytes"] if text is None else text)
    except WebSocketDisconnect as gone:
        hub.disconnect(websocket)
        if name:
            endings[name] = [gone.code, gone.reason]


@app.websocket("/heart/{room}")
async def heart(websocket: WebSocket, room: str) -> None:
    async with hub.connection(websocket, heartbeat=True) as me, me.join(room):
        async for message in me:
            await me.send(message)


@app.websocket("/ways/{way}")
async def ways(websocket: WebSocket, way: str) -> None:
    async with hub.connection(websocket) as me:
        while True:
            message = await getattr(me, way)()
            await me.send({"type": type(message).__name__, "value": str(message)})


@app.websocket("/own/{way}")
async def own(websocket: WebSocket, way: str) -> None:
    await hub.connect(websocket)
    try:
        while True:
            message = await getattr(websocket, way)()
            await websocket.send_json({"type": type(message).__name__, "value": str(message)})
    except WebSocketDisconnect:
        hub.disconnect(websocket)


@app.websocket("/end/{code}")
async def end(websocket: WebSocket, code: int) -> None:
    async with hub.connection(websocket) as me:
        await me.send("bye")
        if code != 1000:
            await me.close(code, "because")


@app.websocket("/crash/{style}")
async def crash(websocket: WebSocket, style: str) -> None:
    if style == "context":
        async with hub.connection(websocket) as me, me.join("crash"):
            await me.receive()
            raise PlannedCrash
    await hub.join("crash", websocket)
    await websocket.receive_text()
    raise PlannedCrash


@app.websocket("/quiet")
async def quiet(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("quiet"):
        while not me.closed:
            await hub.broadcast_to_room("quiet", "tick")
            await asyncio.sleep(0.02)


@app.websocket("/mixed")
async def mixed(websocket: WebSocket) -> None:
    async with hub.connection(websocket) as me, me.join("mixed"):
        for number in range(0, 300, 3):
            await hub.broadcast_to_room("mixed", str(number))
            await websocket.send_text(str(number + 1))
            await me.send(str(number + 2))


@app.websocket("/turn/{room}")
async def turn(websocket: WebSocket, room: str) -> None:
    async with hub.connection(websocket) as me:
        await me.receive()
        await hub.broadcast_to_room(room, "before the join")
        await me.join(room)
        await hub.broadcast_to_room(room, "while a member")
        me.leave(room)
        await hub.broadcast_to_room(room, "after the leave")


@app.websocket("/many/{count}")
async def many(websocket: WebSocket, count: int) -> None:
    async with hub.connection(websocket) as me:
        for number in range(count):
            await me.join(f"many-{number}")
        await me.send("joined all")


@app.websocket("/cancelled")
async def cancelled(websocket: WebSocket) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05), hub.connection(websocket) as me:
            await me.receive()


@app.websocket("/passing")
async def pass_by(websocket: WebSocket) -> None:
    async with Hub() as passing:
        await passing.connect(websocket)
        await websocket.receive_text()
