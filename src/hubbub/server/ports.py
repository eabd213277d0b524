"""Two ports of one server: each has an app of its own."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.uvicorn.endpoint import PORTS

OPERATOR: Final = 1
"""Which of the server's sockets is the operators'."""


class Ports:
    """The public app, and on the operator port another one.

    The port is that of the socket over which a request came, as the server tells it. No header says it, so a
    client cannot choose.

    Args:
        public: gets the lifespan, too.
        operator: runs inside of it.
    """

    def __init__(self, public: ASGIApp, operator: ASGIApp) -> None:
        self.public = public
        self.operator = operator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the app of its port."""
        app = self.operator if _came_to_operators(scope) else self.public
        await app(scope, receive, send)


def _came_to_operators(scope: Scope) -> bool:
    server = scope.get("server")
    ports: tuple[int, ...] = scope.get("state", {}).get(PORTS, ())
    return server is not None and len(ports) > OPERATOR and server[1] == ports[OPERATOR]
