"""An app with every kind of lock on it, and short times, for the tests of the locks."""

import asyncio
import os
from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket

from hubbub import Hub, Limits, User
from hubbub.auth import Tickets, Tokens
from hubbub.core.errors import BrokerError, Unauthorized
from hubbub.fastapi import ApiKey, Auth, Source

SECRET = os.environ["GUARDED_SECRET"]
ALLOWED = "https://app.example.com"

hub = Hub(
    limits=Limits(first_message_timeout=0.5, first_message_bytes=2_048),
    origins=[ALLOWED, *os.environ.get("GUARDED_ORIGINS", "").split()],
)
app = FastAPI(lifespan=hub.lifespan)


class OpaqueTokens:
    """A user's own verifier: tokens that are no JSON Web Tokens."""

    def verify(self, token: str) -> User:
        if not token.startswith("opaque-"):
            raise Unauthorized("not opaque")
        return User(token.removeprefix("opaque-"))


def look_up(session: str) -> User | None:
    return User("ada") if session == "known" else None


async def look_up_slowly(session: str) -> User | None:
    await asyncio.sleep(0)
    return look_up(session)


async def broken_claim(key: str, seconds: float) -> bool:
    raise BrokerError("cannot reach redis://user:password@10.0.0.5")


tokens = Tokens(SECRET)
by_token = Auth(hub, tokens)
by_session = Auth(hub, tokens, sources=(Source.COOKIE,), sessions=look_up, cookie="sid")
by_slow_session = Auth(hub, tokens, sources=(Source.COOKIE,), sessions=look_up_slowly, cookie="sid")
by_opaque_token = Auth(hub, OpaqueTokens())
by_ticket_in_an_outage = Auth(hub, tokens, tickets=Tickets(SECRET, broken_claim)).only(Source.TICKET)


async def tell_name(websocket: WebSocket, user: User) -> None:
    """Say who it is, then echo."""
    async with hub.connection(websocket) as me:
        await me.send({"type": "auth_ok", "user": user.id, "same": me.user == user})
        async for text in me.iter_text():
            await me.send(text)


@app.websocket("/token")
async def token(websocket: WebSocket, user: Annotated[User, Depends(by_token)]) -> None:
    await tell_name(websocket, user)


@app.websocket("/session")
async def session(websocket: WebSocket, user: Annotated[User, Depends(by_session)]) -> None:
    await tell_name(websocket, user)


@app.websocket("/slow-session")
async def slow_session(websocket: WebSocket, user: Annotated[User, Depends(by_slow_session)]) -> None:
    await tell_name(websocket, user)


@app.websocket("/opaque")
async def opaque(websocket: WebSocket, user: Annotated[User, Depends(by_opaque_token)]) -> None:
    await tell_name(websocket, user)


@app.websocket("/outage")
async def outage(websocket: WebSocket, user: Annotated[User, Depends(by_ticket_in_an_outage)]) -> None:
    await tell_name(websocket, user)


@app.websocket("/plain")
async def plain(websocket: WebSocket, user: Annotated[User, Depends(by_token)]) -> None:
    """Without the hub's connection: Starlette's own methods, on a socket that auth may have accepted."""
    if websocket.application_state.name == "CONNECTING":
        await websocket.accept()
    await websocket.send_text(user.id)
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


@app.get("/who")
async def who(user: Annotated[User, Depends(by_session.http)]) -> str:
    return user.id


@app.get("/keyed", dependencies=[Depends(ApiKey("clé-0123456789-0123456789-0123456789"))])
async def keyed() -> str:
    return "in"


@app.get("/off", dependencies=[Depends(ApiKey(None))])
async def off() -> str:
    return "in"


@app.get("/empty", dependencies=[Depends(ApiKey(""))])
async def empty() -> str:
    return "in"


@app.get("/page")
async def page() -> str:
    return "for a browser to have this origin"
