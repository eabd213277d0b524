"""The server's application."""

from fastapi import FastAPI

import hubbub
from hubbub import Hub
from hubbub.server import pages
from hubbub.server.chat import chat_router
from hubbub.server.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application of ``hubbub serve``.

    Raises:
        ConfigurationError: if a setting cannot work.
    """
    hub = Hub(settings.broker, origins=settings.origins)
    app = FastAPI(title="Hubbub", version=hubbub.__version__, lifespan=hub.lifespan)
    app.include_router(pages.router)
    app.include_router(chat_router(hub))

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    return app
