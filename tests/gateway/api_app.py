"""An app with the server's HTTP API beside the endpoints for clients.

Its broker and its keys come from the environment.
"""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from hubbub import Allow, Delta, Heartbeat, History, Hub, Limits, User
from hubbub.auth import Tokens
from hubbub.fastapi import Auth
from hubbub.gateway import Gateway, TokenVerifier

KEEP = History(size=100, ttl=60.0)

hub = Hub(
    os.environ["API_BROKER"],
    limits=Limits(
        outbox_bytes=262_144,
        first_message_timeout=float(os.environ.get("FIRST_MESSAGE", "10")),
        close_timeout=float(os.environ.get("CLOSE", "5")),
    ),
    heartbeat=Heartbeat(float(os.environ.get("PING", "25")), float(os.environ.get("PONG", "10"))),
    origins=["https://friend.example", *os.environ.get("ORIGINS", "").split()],
)
hub.room(
    "chat:{name}",
    history=KEEP,
    presence=True,
    join_leave=True,
    force_recovery=True,
    allow_subscribe=Allow.USER,
    allow_publish=Allow.SUBSCRIBER,
    allow_presence=Allow.SUBSCRIBER,
    allow_history=Allow.SUBSCRIBER,
)
hub.room("open:{name}", allow_subscribe=Allow.ANYONE)
hub.room("delta:{name}", history=KEEP, delta=Delta.FOSSIL, force_recovery=True, allow_subscribe=Allow.ANYONE)
hub.room("secret:{name}", history=KEEP)
gateway = Gateway(
    hub,
    TokenVerifier(os.environ["GATEWAY_SECRET"]),
    anonymous=True,
    personal_room="me:{id}",
    version="1.2.3",
)


async def plain(websocket: WebSocket) -> None:
    """A plain client, of a user if it names one."""
    user = websocket.query_params.get("user")
    async with hub.connection(websocket, user=User(user) if user else None) as me:
        await me.join(websocket.path_params["room"])
        await me.wait_closed()


auth = Auth(hub, Tokens(os.environ["GATEWAY_SECRET"]))


async def authenticated(websocket: WebSocket) -> None:
    """A plain client that shows a token."""
    user = await auth(websocket)
    async with hub.connection(websocket, user=user) as me:
        await me.send(user.id)
        await me.wait_closed()


async def named(websocket: WebSocket) -> None:
    """A plain client whose user the application knows by itself."""
    async with hub.connection(websocket, user=User(websocket.query_params["user"])) as me:
        await me.send("in")
        await me.wait_closed()


async def who(request: Request) -> Response:
    """The user of an HTTP request."""
    return PlainTextResponse((await auth.http(request)).id)


async def health(request: Request) -> Response:
    """How many nodes this one knows of."""
    return PlainTextResponse(str(len(hub.nodes)))


app = Starlette(
    routes=[
        *gateway.routes,
        *gateway.api_routes(os.environ["API_KEYS"].split()),
        WebSocketRoute("/plain/{room}", plain),
        WebSocketRoute("/authenticated", authenticated),
        WebSocketRoute("/named", named),
        Route("/who", who),
        Route("/nodes", health),
    ],
    lifespan=hub.lifespan,
)
