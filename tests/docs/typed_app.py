"""An app as its author writes it, for a type checker: nothing of it is run.

Each `assert_type` holds what a name of the public interface is inferred to be. Each ``type: ignore`` stands
for a slip that a checker has to notice: one that is not needed is an error of its own.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, assert_type

from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.applications import Starlette

from hubbub import (
    BEGINNING,
    Allow,
    CloseCode,
    Connection,
    ConnectionFigures,
    Delta,
    Disconnected,
    Figures,
    Heartbeat,
    History,
    HistoryGone,
    Hub,
    HubbubError,
    Limits,
    Listener,
    Overflow,
    Position,
    Protection,
    Publication,
    Rate,
    Refused,
    RoomFigures,
    SlowConsumer,
    User,
)
from hubbub.auth import Tickets, Tokens
from hubbub.fastapi import ApiKey, Auth, Source, current_client
from hubbub.gateway import TokenVerifier
from hubbub.testing import Client, connect, running


class MyTokens:
    """A `Verifier` that knows nothing of Hubbub but what it returns."""

    def verify(self, token: str) -> User:
        return User(token, {"role": "guest"}, 4_000_000_000.0)


async def find_session(key: str) -> User | None:
    return User(key) if key else None


SECRET = "s" * 32
hub = Hub(
    "redis://localhost",
    limits=Limits(outbox_bytes=2_000_000, rooms_per_connection=10),
    heartbeat=Heartbeat(interval=10.0, timeout=5.0),
    origins=["https://app.example.com"],
    protection=Protection(messages=Rate(per_second=5, burst=10), connections_per_user=None),
    tokens=TokenVerifier(SECRET),
    personal_room="user:{id}",
)
tokens = Tokens(SECRET, leeway=5, audience="chat")
auth = Auth(hub, tokens, tickets=Tickets(SECRET, hub.claim), sources=(Source.COOKIE, Source.SUBPROTOCOL))
by_session = Auth(hub, MyTokens(), sessions=find_session, cookie="sid")

CurrentUser = Annotated[User, Depends(auth)]
CookieUser = Annotated[User, Depends(by_session.only(Source.COOKIE))]
HttpUser = Annotated[User, Depends(auth.http)]
Me = Annotated[Connection, Depends(current_client)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with hub as running_hub:
        assert_type(running_hub, Hub)
        yield


app = FastAPI(lifespan=hub.lifespan)
app.include_router(hub.router)
with_its_own = FastAPI(lifespan=lifespan)
without_fastapi = Starlette(routes=[*hub.routes], lifespan=hub.lifespan)

chats = hub.room(
    "chat:{name}",
    history=History(size=500, ttl=3600.0),
    overflow=Overflow.KEEP_NEWEST,
    presence=True,
    join_leave=True,
    delta=Delta.FOSSIL,
    allow_subscribe=Allow.USER,
    allow_publish=Allow.SUBSCRIBER,
)
hub.set_options("prices:{market}", history=History(), cache=True)
hub.room("a:{name}", histori=History())  # type: ignore[call-arg]
hub.room("b:{name}", presence="yes")  # type: ignore[arg-type]
Limits(outbox="2 MB")  # type: ignore[call-arg]
Hub(origins=5)  # type: ignore[arg-type]
Auth(hub, tokens=SECRET)  # type: ignore[arg-type]


class Said(BaseModel):
    """What a client says."""

    text: str


@chats.on_join
async def may_join(name: str, me: Me) -> None:
    if me.user is None:
        raise Refused("Log in first")


@chats.on_message
async def said(name: str, message: Said, me: Me) -> dict[str, str]:
    if me.user is None:
        raise HTTPException(403)
    return {"text": message.text, "from": me.user.id}


@chats.on_leave
def left(name: str, me: Me) -> None:
    """A plain function, as FastAPI has them."""


@hub.rpc("length")
async def length(message: Said) -> int:
    return len(message.text)


@hub.rpc("length_at_once")
def length_at_once(message: Said) -> int:
    return len(message.text)


async def decorated_functions_keep_their_types() -> None:
    assert_type(await length(Said(text="x")), int)
    assert_type(length_at_once(Said(text="x")), int)
    assert_type(await said("tea", Said(text="x"), hub.connections[0]), dict[str, str])


@app.websocket("/chat/{room}")
async def chat(websocket: WebSocket, room: str, user: CurrentUser) -> None:
    async with (
        hub.connection(websocket, user=user, info={"name": user.id}, heartbeat=True) as me,
        me.join(room) as joined,
    ):
        assert_type(me, Connection)
        assert_type(joined.recovered, bool | None)
        assert_type(joined.position, Position | None)
        async for text in me.iter_text():
            assert_type(text, str)
            published = await hub.broadcast_to_room(room, {"text": text}, tags={"kind": "said"}, key="k")
            assert_type(published, Publication)
        assert_type(me.closed, Disconnected | None)


@app.websocket("/kinds")
async def kinds(websocket: WebSocket, user: CookieUser) -> None:
    me = await hub.connect(websocket, user=user)
    await hub.connect(websocket, usr=user)  # type: ignore[call-arg]
    assert_type(await me.receive(), str | bytes)
    assert_type(await me.receive_text(), str)
    assert_type(await me.receive_bytes(), bytes)
    print((await me.receive_json())["any"])
    assert_type(await me.ping(), float)
    assert_type(me.user, User | None)
    assert_type(me.rooms, list[str])
    assert_type(me.figures, ConnectionFigures)
    async for binary in me.iter_bytes():
        assert_type(binary, bytes)
    async for message in me:
        assert_type(message, str | bytes)
    assert_type((await hub.join("room", websocket, since=Position("e", 1))).recovered, bool | None)
    hub.leave("room", me)
    await me.send(Said(text="x"))
    await hub.send_personal(b"x", websocket)
    await me.close(CloseCode.NORMAL, "bye")
    me.end(4000)
    hub.disconnect(websocket)


@app.post("/ticket")
async def ticket(request: Request, user: HttpUser) -> dict[str, str]:
    return {"ticket": auth.ticket(user, request), "token": tokens.issue(user.id, ttl=60)}


@app.get("/answer", dependencies=[Depends(ApiKey("k" * 40))])
async def answer(room: str) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        async with hub.listen(room, since=BEGINNING) as listener:
            assert_type(listener, Listener)
            try:
                async for publication in listener:
                    assert_type(publication.payload, str | bytes)
                    assert_type(publication.position, Position | None)
                    yield f"data: {publication.payload!s}\n\n"
            except (HistoryGone, SlowConsumer):
                return

    return StreamingResponse(events(), media_type="text/event-stream")


async def what_the_hub_knows(user: User) -> None:
    assert_type(hub.running, bool)
    assert_type(hub.ready, bool)
    assert_type(hub.connections, list[Connection])
    assert_type(hub.members("room"), list[Connection])
    assert_type(hub.rooms, list[str])
    assert_type(hub.room_count("room"), int)
    assert_type(hub.figures, Figures)
    assert_type(hub.room_figures("room"), RoomFigures | None)
    assert_type(await hub.find_rooms("chat:*"), dict[str, int])
    page = await hub.history("room", since=BEGINNING, limit=10, reverse=True)
    assert_type(page.publications[0].payload, str | bytes)
    assert_type(await hub.erase("room", 1), bool)
    assert_type(await hub.claim("key", 1.0), bool)
    assert_type([present.user for present in await hub.presence("room")], list[str | None])
    await hub.send_to_user(user.id, {"text": "x"})
    await hub.disconnect_user(user.id, code=4000, reason="x")
    assert_type(user.expires_at, float | None)
    assert_type(user.claims["role"], object)


def what_an_error_says(error: HubbubError) -> None:
    assert_type(error.retry, bool)
    assert_type(int(error.code), int)


async def what_a_test_sees() -> None:
    async with running(app) as state, connect(app, "/chat/x", state=state, headers={"Origin": "x"}) as ada:
        assert_type(ada, Client)
        await ada.send({"text": "x"})
        assert_type(await ada.receive(), str | bytes)
        assert_type((await ada.wait_closed()).code, int)
