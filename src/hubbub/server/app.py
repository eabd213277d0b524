"""The server's application."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import hubbub
from hubbub.server import pages
from hubbub.server.assembly import make_hub
from hubbub.server.chat import add_chat_rooms, chat_router
from hubbub.server.settings import Settings
from hubbub.uvicorn.endpoint import DRAIN


def worker_app() -> FastAPI:
    """The application in a process that the command has started."""
    return create_app(Settings.handed_on())


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application of ``hubbub serve``.

    Raises:
        ConfigurationError: if a setting cannot work.
    """
    hub = make_hub(settings)
    add_chat_rooms(hub)
    app = FastAPI(title="Hubbub", version=hubbub.__version__, lifespan=hub.lifespan)
    app.include_router(pages.router)
    app.include_router(chat_router(hub))
    app.router.routes.extend([*hub.routes, *hub.gateway.api_routes(settings.api_key)])

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready(request: Request) -> JSONResponse:
        """Whether the process wants new clients: 503 while it is draining or its broker is away."""
        drain = request.scope.get("state", {}).get(DRAIN)
        if drain is not None and drain.active:
            return JSONResponse({"status": "draining"}, 503, {"Retry-After": "1"})
        if not hub.ready:
            return JSONResponse({"status": "broker away"}, 503, {"Retry-After": "1"})
        return JSONResponse({"status": "ok"})

    return app
