"""The app under the fault tests: rooms that remember, joined over WebSockets and published to over HTTP."""

import asyncio
import os
from collections import deque
from dataclasses import replace

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from hubbub import Allow, Heartbeat, History, Hub, Position, User
from hubbub.core.errors import BrokerError
from hubbub.core.messages import Json, Publication
from hubbub.core.presence import Present
from hubbub.gateway import Credentials, Gateway, Identity, StandardHandlers, TokenVerifier, Visitor
from hubbub.gateway.later import Maybe, then

WAVE = 100
"""Publishes that are begun at once when many are cancelled."""

hub = Hub(
    os.environ["HUBBUB_TEST_BROKER"],
    heartbeat=Heartbeat(
        float(os.environ.get("HUBBUB_TEST_PING", "25")), float(os.environ.get("HUBBUB_TEST_PONG", "10"))
    ),
)
hub.room("here:{name:path}", presence=True)
for pattern, kept, allowed in [
    ("small:{name:path}", History(size=10, ttl=600), Allow.ANYONE),
    ("brief:{name:path}", History(size=100, ttl=1.0), Allow.ANYONE),
    ("own:{name:path}", History(size=100, ttl=600), Allow.TOKEN),
    ("{test}:{number}", History(size=20_000, ttl=600), Allow.ANYONE),
]:
    hub.room(pattern, history=kept, force_recovery=True, allow_subscribe=allowed)

left: deque[tuple[str, str | None]] = deque(maxlen=2_000)
"""Room and user of those who left last, as this process was told. In a long run that would be ever more."""


@hub.on_left
def note(room: str, present: Present) -> None:
    """Somebody left."""
    left.append((room, present.user))


class Handlers(StandardHandlers):
    """The standard handlers; a client is told which process it came to."""

    def authenticate(self, visitor: Visitor, credentials: Credentials) -> Maybe[Identity]:
        """As always, with the process's id."""
        told = Json(f'{{"pid":{os.getpid()}}}')
        return then(super().authenticate(visitor, credentials), lambda who: replace(who, data=told))


async def follow(websocket: WebSocket) -> None:
    """Tell the process, join the room of the query, and stay."""
    asked = websocket.query_params
    since = Position(asked["epoch"], int(asked["offset"])) if "epoch" in asked else None
    user = User(asked["user"]) if "user" in asked else None
    async with hub.connection(websocket, user=user, envelope=True) as me:
        await me.send({"type": "hello", "pid": os.getpid()})
        async with me.join(asked["room"], since=since):
            await me.wait_closed()


async def publish(request: Request) -> JSONResponse:
    """Publish ``{room, data, idempotency_key}``."""
    asked = await request.json()
    key = asked.get("idempotency_key")
    try:
        publication = await hub.broadcast_to_room(asked["room"], asked["data"], idempotency_key=key)
    except BrokerError as error:
        return JSONResponse({"pid": os.getpid(), "error": str(error)}, 503)
    return JSONResponse(place(publication) | {"pid": os.getpid()})


async def history(request: Request) -> JSONResponse:
    """All that a room remembers, oldest first, and its newest position."""
    page = await hub.history(request.query_params["room"])
    kept = [place(publication) | {"data": publication.payload} for publication in page.publications]
    return JSONResponse(
        {"position": {"epoch": page.position.epoch, "offset": page.position.offset}, "kept": kept}
    )


async def state(request: Request) -> JSONResponse:
    """Which process answers, and what it has."""
    return JSONResponse(
        {
            "pid": os.getpid(),
            "connections": hub.connection_count,
            "rooms": hub.rooms,
            "tasks": len(asyncio.all_tasks()),
        }
    )


async def presence(request: Request) -> JSONResponse:
    """Who is in a room, by the number of connections, and who has left it, as this process sees it."""
    room = request.query_params["room"]
    here = {str(one.user): len(one.members) for one in await hub.presence(room)}
    return JSONResponse(
        {"here": here, "left": sorted(user for where, user in left if where == room and user)}
    )


async def storm(request: Request) -> JSONResponse:
    """Publish many, cancel every second one in mid-flight, and tell where the others stand."""
    asked = await request.json()
    room, publisher, count = asked["room"], asked["publisher"], asked["count"]
    data = [
        {"publisher": f"{publisher} {number}", "sequence": 0, "room": room} for number in range(2 * count)
    ]
    tasks: list[asyncio.Task[Publication]] = []
    for wave in range(0, len(data), WAVE):
        tasks += [asyncio.create_task(hub.broadcast_to_room(room, one)) for one in data[wave : wave + WAVE]]
        # Some are cancelled before they began, some before they were sent, some before the answer came.
        turns = wave // WAVE % 8
        for _ in range(turns):
            await asyncio.sleep(0.0005 if turns > 4 else 0)
        for task in tasks[wave : wave + WAVE : 2]:
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return JSONResponse([place(one) if isinstance(one, Publication) else type(one).__name__ for one in ended])


def place(publication: Publication) -> dict[str, object]:
    """Where it stands."""
    position = publication.position
    return {} if position is None else {"epoch": position.epoch, "offset": position.offset}


handlers = Handlers(hub, TokenVerifier(os.environ["HUBBUB_TEST_SECRET"]), anonymous=True)
app = Starlette(
    routes=[
        *Gateway(hub, handlers=handlers).routes,
        WebSocketRoute("/ws", follow),
        Route("/publish", publish, methods=["POST"]),
        Route("/history", history),
        Route("/state", state),
        Route("/presence", presence),
        Route("/storm", storm, methods=["POST"]),
    ],
    lifespan=hub.lifespan,
)
