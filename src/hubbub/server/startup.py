"""A start that fails is told in one line: what is wrong, not where in the code it was noticed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from hubbub import Hub
from hubbub.core.errors import HubbubError


class Startup:
    """Runs the hub as long as the app, and tells why it cannot.

    Starlette tells the server the traceback of what went wrong at the start. A broker that is away, or
    refuses the login, is no fault of the code, and its message says all.

    Args:
        hub: runs inside of the app's lifespan.
        app: whose lifespan it is.
    """

    def __init__(self, hub: Hub, app: FastAPI) -> None:
        self._hub = hub
        self._said = ""
        self._lifespan = app.router.lifespan
        app.router.lifespan_context = self._run
        app.router.lifespan = self._told  # type: ignore[method-assign]

    @asynccontextmanager
    async def _run(self, app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self._hub.lifespan(app))
            except HubbubError as error:
                self._said = f"Cannot start: {error}"
                raise
            yield

    async def _told(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(event: Message) -> None:
            failed = event["type"] == "lifespan.startup.failed"
            await send({**event, "message": self._said} if failed and self._said else event)

        await self._lifespan(scope, receive, tell)
