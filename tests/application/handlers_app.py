"""An application with handlers in FastAPI's style."""

import os
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from hubbub import Allow, Connection, History, Hub, Refused
from hubbub.fastapi import current_client
from hubbub.gateway import TokenVerifier

hub = Hub(tokens=TokenVerifier(os.environ["SECRET"]), anonymous=True, personal_room="own:{id}")
open_now = 0
left: list[str] = []
invited = {"once"}


class NotToday(Exception):
    """The application has a handler for it."""


class Numbers(BaseModel):
    """Two of them."""

    a: int
    b: int


async def database() -> AsyncIterator[str]:
    """Opened and closed for each event."""
    global open_now
    open_now += 1
    try:
        yield "database"
    finally:
        open_now -= 1


Database = Annotated[str, Depends(database)]
Client = Annotated[Connection, Depends(current_client)]

chat = hub.room("chat:{name}", history=History(), allow_history=Allow.ANYONE)
hub.room("free:{name}", allow_subscribe=Allow.ANYONE, allow_publish=Allow.ANYONE)


@chat.on_join
async def join(name: str, me: Client, database: Database) -> dict[str, str]:
    """Not everywhere, and not everybody."""
    if name == "secret":
        raise Refused("not you")
    if name == "closed":
        raise HTTPException(403)
    return {"welcome to": name, "from": database, "you": me.id}


@chat.on_message
async def message(name: str, data: dict[str, Any], me: Client) -> dict[str, Any] | None:
    """Adds who said it; what is plain goes out as it came."""
    if data.get("text") == "forbidden":
        raise Refused("not that")
    return None if data.get("plain") else {**data, "by": me.id, "room": name}


@chat.on_leave
async def leave(name: str, me: Client) -> None:
    """Remembers it."""
    left.append(f"{me.id} left {name}")


desk = hub.room("desk:{name}")
drawer = hub.room("desk:{name}:{drawer}")


@desk.on_join
async def sit_down(name: str) -> str:
    """At anybody's."""
    return f"the desk of {name}"


@drawer.on_join
async def open_drawer(name: str, drawer: str) -> str:
    """The one that is not locked."""
    if drawer == "locked":
        raise Refused("it is locked")
    return f"the {drawer} drawer of {name}"


own = hub.room("own:{id}")
party = hub.room("party:{name}", history=History(), force_recovery=True)


@own.on_join
@own.on_message
async def anything(id: str) -> None:
    """Would let anybody in."""


@party.on_join
async def come_once(name: str) -> None:
    """For the first who comes."""
    if name not in invited:
        raise Refused("not again")
    invited.remove(name)


@hub.rpc("send away")
async def send_away(me: Client) -> None:
    """The SDK comes back by itself."""
    me.end(3011, "come back")


@hub.rpc("add")
async def add(numbers: Numbers, database: Database) -> dict[str, int | str]:
    """The sum, while the database is open."""
    return {"sum": numbers.a + numbers.b, "open": open_now}


@hub.rpc("still open")
def still_open() -> int:
    """How many databases are open outside any event that uses one."""
    return open_now


@hub.rpc("who left")
async def who_left() -> list[str]:
    """All that `leave` was told."""
    return left


@hub.rpc("echo")
async def echo(text: Annotated[str, Body()], user_agent: Annotated[str, Header()]) -> str:
    """The text, and what the handshake's headers said."""
    return f"{text} from {user_agent.split('/')[0]}"


@hub.rpc("fail")
async def fail() -> None:
    """Our fault."""
    raise ZeroDivisionError


@hub.rpc("wait")
async def wait() -> None:
    """Too many at once."""
    raise HTTPException(429)


@hub.rpc("log in")
async def log_in() -> None:
    """Nobody can."""
    raise HTTPException(401)


@hub.rpc("greeting")
async def greeting(request: Request) -> str:
    """What the application was given at its start."""
    return str(request.app.state.greeting)


@hub.rpc("later")
async def later() -> None:
    """Refused with an exception of the application's."""
    raise NotToday


app = FastAPI(lifespan=hub.lifespan)
app.state.greeting = "good morning"


@app.exception_handler(NotToday)
async def not_today(request: Request, error: Exception) -> JSONResponse:
    """Too early."""
    return JSONResponse({"detail": "come tomorrow"}, 429)


app.include_router(hub.router)
