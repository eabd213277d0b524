"""Routes for clients of this machine alone."""

from collections.abc import Sequence

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.server.settings import is_loopback


class LocalOnly:
    """An app that is not there for others: 404.

    A server on a loopback address can still be reached by everybody, through a proxy beside it. Where the
    proxy is believed, and tells for whom it speaks, the address of the client is that of the visitor.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, if the client is on this machine."""
        client = scope.get("client")
        local = client is not None and is_loopback(client[0])
        await (self._app if local else PlainTextResponse("Not Found", 404))(scope, receive, send)


def make_local(routes: Sequence[BaseRoute]) -> None:
    """Have the routes answer clients of this machine alone."""
    for route in routes:
        assert isinstance(route, Route | WebSocketRoute)
        route.app = LocalOnly(route.app)
