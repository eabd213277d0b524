"""The app under test: a gateway beside plain routes. Its secret and its times come from the environment."""

import asyncio
import logging
import os

from fastapi import FastAPI, Request, WebSocket

from hubbub import Allow, Delta, Heartbeat, History, Hub, Limits, Position
from hubbub.brokers import MemoryBroker
from hubbub.centrifuge.errors import ClientError, ErrorCode
from hubbub.core.messages import Json, Payload, from_json, to_payload
from hubbub.gateway import CommandFailed, Gateway, StandardHandlers, TokenVerifier, Visitor

KEEP = History(size=100, ttl=60.0)

GATE = asyncio.Event()  # opened by /open


class SlowBroker(MemoryBroker):
    """Rooms that are called slow are subscribed to when the gate opens."""

    async def subscribe(self, room: str, history: History | None = None) -> Position | None:
        if room.startswith("news:given-up"):
            await asyncio.sleep(1)
        if room.startswith("news:slow"):
            await GATE.wait()
        return await super().subscribe(room, history)


hub = Hub(
    SlowBroker(),
    limits=Limits(outbox_bytes=262_144, first_message_timeout=float(os.environ.get("FIRST_MESSAGE", "10"))),
    heartbeat=Heartbeat(float(os.environ.get("PING", "25")), float(os.environ.get("PONG", "10"))),
    origins=["https://friend.example"],
)
hub.room(
    "chat:{name}",
    history=KEEP,
    presence=True,
    join_leave=True,
    force_push_join_leave=True,
    force_recovery=True,
    allow_subscribe=Allow.USER,
    allow_publish=Allow.SUBSCRIBER,
    allow_history=Allow.SUBSCRIBER,
    allow_presence=Allow.SUBSCRIBER,
)
hub.room("open:{name}", allow_subscribe=Allow.ANYONE, allow_publish=Allow.ANYONE)
hub.room("secret:{name}", history=KEEP, allow_publish=Allow.TOKEN)
hub.room("short:{name}", history=History(size=2, ttl=60.0), force_recovery=True, allow_subscribe=Allow.ANYONE)
hub.room("cache:{name}", history=KEEP, cache=True, force_recovery=True, allow_subscribe=Allow.ANYONE)
hub.room("delta:{name}", history=KEEP, delta=Delta.FOSSIL, force_recovery=True, allow_subscribe=Allow.ANYONE)
hub.room(
    "long:{name}",
    history=History(size=1_000, ttl=60.0),
    delta=Delta.FOSSIL,
    force_recovery=True,
    allow_subscribe=Allow.ANYONE,
    allow_publish=Allow.ANYONE,
)
hub.room("news:{name}", history=KEEP, force_recovery=True)
hub.room(
    "tagged:{name}",
    history=KEEP,
    delta=Delta.FOSSIL,
    force_recovery=True,
    allow_tags_filter=True,
    allow_subscribe=Allow.ANYONE,
    allow_history=Allow.ANYONE,
)
hub.room("user:{name}")
hub.room("joining:{name}", allow_publish=Allow.SUBSCRIBER)
hub.room("mixed:{name}", history=KEEP, force_positioning=True, allow_subscribe=Allow.ANYONE)
hub.room("silent:{name}", history=KEEP, allow_subscribe=Allow.USER)
hub.room(
    "asking:{name}",
    history=KEEP,
    allow_subscribe=Allow.USER,
    allow_recovery=True,
    allow_positioning=True,
)
hub.room("noticing:{name}", history=KEEP, allow_subscribe=Allow.USER, allow_positioning=True)
hub.room("read:{name}", history=KEEP, allow_subscribe=Allow.USER, allow_history=Allow.SUBSCRIBER)


class PlannedCrash(Exception):
    """Raised on purpose: the only thing whose traceback is kept out of the log."""


def is_no_planned_crash(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], PlannedCrash))


logging.getLogger("hubbub").addFilter(is_no_planned_crash)


class Methods(StandardHandlers):
    """The standard handlers, with some methods."""

    __slots__ = ("gone", "said")

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.said: list[str] = []
        self.gone: list[str] = []

    async def rpc(self, visitor: Visitor, method: str, data: Payload | None) -> Payload | None:
        match method:
            case "echo":
                return data
            case "slow":
                await asyncio.sleep(0.2)
                return "slow"
            case "never":
                await asyncio.Event().wait()
            case "refused":
                raise CommandFailed(ClientError(1_000, "not today"))
            case "broken":
                raise PlannedCrash
            case "join":
                return to_payload(await join(visitor, *from_json(data or "")))
            case "join twice":
                return to_payload(await join_twice(visitor, from_json(data or "")))
            case "forget":
                hub.disconnect(visitor.connection)
                return None
            case "leave":
                hub.leave(from_json(data or ""), visitor.connection)
                return None
        raise CommandFailed(ErrorCode.METHOD_NOT_FOUND)

    async def may_publish(self, visitor: Visitor, room: str, data: Payload) -> Payload:
        if room.startswith("joining:"):
            await hub.join(room, visitor.connection)
        allowed = super().may_publish(visitor, room, data)
        return allowed if isinstance(allowed, str | bytes) else await allowed

    async def left(self, visitor: Visitor, room: str) -> None:
        self.gone.append(room)

    def message(self, visitor: Visitor, data: Payload) -> None:
        if data == '"crash"':
            raise PlannedCrash
        self.said.append(str(data))


async def join(visitor: Visitor, room: str, offset: int | None = None, epoch: str = "") -> dict[str, object]:
    """Have a client join; it is given up if the room is to be called slow."""
    since = None if offset is None else Position(epoch, offset)
    try:
        async with asyncio.timeout(0.05 if room.startswith("news:given-up") else None):
            joined = await hub.join(room, visitor.connection, since=since)
    except TimeoutError:
        raise CommandFailed(ErrorCode.INTERNAL) from None
    position = joined.position
    return {
        "recovered": joined.recovered,
        "position": (position.epoch, position.offset) if position else None,
        "member": visitor.connection in hub.members(room),
    }


async def join_twice(visitor: Visitor, room: str) -> dict[str, object]:
    """Two tasks have a client join; the one that asked first is cancelled before it is in."""
    first, second = (asyncio.create_task(hub.join(room, visitor.connection)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first, second])
    return {
        "cancelled": first.cancelled(),
        "joined": second.result().position is not None,
        "member": visitor.connection in hub.members(room),
    }


handlers = Methods(
    hub,
    TokenVerifier(os.environ["GATEWAY_SECRET"]),
    anonymous=True,
    personal_room="user:{id}",
)
gateway = Gateway(hub, handlers=handlers)
app = FastAPI(lifespan=hub.lifespan)
app.router.routes.extend(gateway.routes)


@app.get("/state")
async def state() -> dict[str, object]:
    return {
        "connections": hub.connection_count,
        "rooms": {room: hub.room_count(room) for room in hub.rooms},
        "tasks": len(asyncio.all_tasks()),
        "slow": hub.stats.slow,
        "said": handlers.said,
        "gone": handlers.gone,
    }


@app.post("/publish/{room}")
async def publish(room: str, request: Request) -> None:
    tags = dict(request.query_params)
    await hub.broadcast_to_room(room, await content(request), tags=tags or None)


@app.post("/erase/{room}/{offset}")
async def erase(room: str, offset: int) -> bool:
    return await hub.erase(room, offset)


async def content(request: Request) -> Payload:
    """JSON unless the header says something else."""
    body = await request.body()
    kind = request.headers.get("content-type")
    return (
        body if kind == "application/octet-stream" else (str if kind == "text/plain" else Json)(body.decode())
    )


@app.post("/broadcast")
async def broadcast(request: Request) -> None:
    await hub.broadcast(await content(request))


@app.post("/tell/{user}")
async def tell(user: str, request: Request) -> None:
    await hub.send_to_user(user, await content(request))


@app.post("/open")
async def open_gate() -> None:
    GATE.set()


@app.get("/position/{room}")
async def position(room: str) -> str:
    """Where a room stands that somebody follows, else nothing."""
    return str(hub.parts.following.position(room) or "")


@app.post("/lose/{room}")
async def lose(room: str) -> None:
    """As a broker tells that publications were lost."""
    hub.parts.memberships.interrupted(room, Position("lost", 0))


@app.websocket("/plain/{room}")
async def plain(websocket: WebSocket, room: str, envelope: bool = False) -> None:
    async with hub.connection(websocket, envelope=envelope) as me, me.join(room):
        await me.wait_closed()


gateway.service.newcomers = int(os.environ.get("NEWCOMERS", "0"))
if "BEFORE" in os.environ:  # the endpoint in front of the app, not among its routes
    app = gateway.before(app)  # type: ignore[assignment]
