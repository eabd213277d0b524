"""An app whose handlers end in many ways."""

import asyncio

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect

from hubbub import Allow, History, Hub, Limits, Refused

BIG = "x" * 60_000


def application() -> FastAPI:
    """The app. What a slow client does not take is given up after 0.2 s."""
    hub = Hub("memory://", anonymous=True, limits=Limits(outbox_bytes=100_000, close_timeout=0.2))
    hub.room("here:{name}", history=History(), presence=True, allow_subscribe=Allow.ANYONE, join_leave=True)
    hub.room("{name}", allow_subscribe=Allow.ANYONE)
    app = FastAPI(lifespan=hub.lifespan)
    app.state.hub = hub
    _add_endings(app, hub)
    _add_slow_ends(app, hub)
    _add_requests(app, hub)
    app.include_router(hub.router)
    return app


def _add_endings(app: FastAPI, hub: Hub) -> None:
    @app.websocket("/stay")
    async def stay(websocket: WebSocket, room: str = "room") -> None:
        async with hub.connection(websocket, heartbeat=True) as me, me.join(room):
            async for text in me.iter_text():
                await hub.broadcast_to_room(room, text)

    @app.websocket("/tutorial")
    async def tutorial(websocket: WebSocket) -> None:
        await hub.connect(websocket)
        await hub.join("room", websocket)
        try:
            while True:
                await hub.broadcast_to_room("room", await websocket.receive_text())
        except WebSocketDisconnect:
            hub.disconnect(websocket)

    @app.websocket("/tutorial/crash")
    async def crash(websocket: WebSocket) -> None:
        await hub.connect(websocket)
        await hub.join("room", websocket)
        raise ValueError

    @app.websocket("/raise")
    async def fail(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            raise ValueError

    @app.websocket("/refuse")
    async def refuse(websocket: WebSocket) -> None:
        async with hub.connection(websocket):
            raise Refused("Not you")

    @app.websocket("/kick")
    async def kick(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me, me.join("room"):
            asyncio.get_running_loop().call_soon(me.end, 4_000, "Out")
            await me.wait_closed()


def _add_slow_ends(app: FastAPI, hub: Hub) -> None:
    @app.websocket("/flood")
    async def flood(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me, me.join("room"):
            while not me.closed:
                await hub.broadcast_to_room("room", BIG)
                await asyncio.sleep(0)

    @app.websocket("/talk")
    async def talk(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            while True:
                await me.send(BIG)

    @app.websocket("/busy")
    async def busy(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            me.transport.read_ahead()
            await asyncio.sleep(0.05)

    @app.websocket("/ask")
    async def ask(websocket: WebSocket) -> None:
        async with hub.connection(websocket) as me:
            await me.ping()

    @app.websocket("/hesitate")
    async def hesitate(websocket: WebSocket) -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass


def _add_requests(app: FastAPI, hub: Hub) -> None:
    @app.get("/")
    async def page() -> dict[str, str]:
        return {}

    @hub.rpc("refuse")
    async def refuse_call() -> None:
        raise HTTPException(403, "Not you")

    @hub.rpc("wait")
    async def wait() -> None:
        await asyncio.sleep(60)
