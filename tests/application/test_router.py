"""What an app includes with `hub.router`, and what it cannot be included with."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from polling import eventually
from starlette.routing import Mount

from hubbub import ConfigurationError, Hub
from hubbub.testing import connect

MODULES = ("events", "router")


def nobody() -> None:
    raise HTTPException(403)


def guarded(app: FastAPI, hub: Hub) -> None:
    app.include_router(hub.router, dependencies=[Depends(nobody)])


def in_a_guarded_router(app: FastAPI, hub: Hub) -> None:
    outer = APIRouter(dependencies=[Depends(nobody)])
    outer.include_router(hub.router, prefix="/rt")
    app.include_router(outer)


def in_a_guarded_app(app: FastAPI, hub: Hub) -> None:
    app.router.dependencies.append(Depends(nobody))
    app.include_router(hub.router)


@pytest.mark.parametrize("include", [guarded, in_a_guarded_router, in_a_guarded_app])
async def test_an_app_that_gives_the_endpoints_dependencies_does_not_start(
    include: Callable[[FastAPI, Hub], None],
) -> None:
    hub = Hub(anonymous=True)
    app = FastAPI(lifespan=hub.lifespan)
    include(app, hub)
    with pytest.raises(ConfigurationError, match="does not apply"):
        async with hub.lifespan(app):
            pass
    assert not hub.running


async def test_with_a_lifespan_of_its_own_such_an_app_serves_no_client() -> None:
    hub = Hub(anonymous=True)
    app = FastAPI()
    in_a_guarded_router(app, hub)
    async with hub:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="does not apply"):
                async with connect(app, "/rt/connection/websocket"):
                    pass
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            for path in ("sse", "http_stream"):
                with pytest.raises(ConfigurationError):
                    await http.post(f"/rt/connection/{path}", json={})


@asynccontextmanager
async def welcomed(app: FastAPI, path: str) -> AsyncIterator[None]:
    async with connect(app, f"{path}/connection/websocket") as client:
        await client.send('{"id":1,"connect":{}}')
        assert "connect" in await client.receive_json()
        yield


async def test_routes_beside_it_may_have_dependencies_and_an_app_that_knows_takes_the_bare_routes() -> None:
    hub = Hub(anonymous=True)
    app, knowing = FastAPI(lifespan=hub.lifespan), FastAPI(dependencies=[Depends(nobody)])
    beside = APIRouter(dependencies=[Depends(nobody)])
    beside.add_api_route("/x", nobody)
    app.include_router(beside)
    app.include_router(hub.router, prefix="/rt")
    inner = FastAPI()
    inner.include_router(hub.router)
    app.router.routes.append(Mount("/inner", inner))
    knowing.router.routes.extend(hub.routes)
    async with (
        hub.lifespan(app),
        welcomed(app, "/rt"),
        welcomed(app, "/inner"),
        welcomed(knowing, ""),
    ):
        await eventually(lambda: hub.connection_count == 3)


async def test_who_asks_for_the_websocket_without_one_is_told_so() -> None:
    hub = Hub(anonymous=True)
    app = FastAPI()
    app.include_router(hub.router)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/connection/websocket")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert app.openapi()["paths"] == {}


@pytest.mark.parametrize(
    ("what", "use"),
    [
        ("hub.router", lambda hub: hub.router),
        ("a handler of events", lambda hub: hub.rpc("add")(nobody)),
        ("a handler of events", lambda hub: hub.room("r").on_join(nobody)),
    ],
)
def test_without_fastapi_it_is_said_what_to_install(
    what: str, use: Callable[[Hub], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in MODULES:
        monkeypatch.delitem(sys.modules, f"hubbub.application.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    hub = Hub(anonymous=True)
    with pytest.raises(ConfigurationError, match=rf"{what} needs FastAPI: pip install fastapi"):
        use(hub)
    assert hub.routes, "which Starlette serves, too"
