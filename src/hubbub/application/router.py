"""The endpoints as a router of FastAPI's, and a look at how an app has included it.

They are no routes of FastAPI's own, which would keep what each has for as long as a client stays. So
dependencies of a router or an app do not count for them. Who gives some believes that they protect, and is
told that they do not.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import APIRouter, Response, routing
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from hubbub.core.errors import ConfigurationError
from hubbub.gateway.gateway import WEBSOCKET_PATH

NOT_APPLIED: Final = (
    "hub.router is included with dependencies, which FastAPI does not apply to its endpoints. Who may come "
    "in is for tokens to say (Hub(tokens=...)), and who may do what for the options and handlers of rooms. "
    "Include it without them; in an app that has some for all routes: app.router.routes.extend(hub.routes)"
)


class Inclusion:
    """The router of one hub, and what is known of the app that has it.

    Args:
        routes: the endpoints.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._app: object = None  # the one that was looked at last

        async def upgrade_required() -> Response:
            return Response("This is for WebSockets", 426, {"upgrade": "websocket"})

        self._witness = upgrade_required
        self._routes = [self._guarded(route) for route in routes]

    def router(self) -> APIRouter:
        """A router with the endpoints, and a route of FastAPI's own, which has what the app gives to all."""
        router = APIRouter(routes=self._routes)
        router.add_api_route(WEBSOCKET_PATH, self._witness, include_in_schema=False)
        return router

    def check(self, app: object) -> None:
        """Look at how an app has included the router, if it has.

        Raises:
            ConfigurationError: with dependencies.
        """
        routes: Sequence[BaseRoute] = getattr(app, "routes", ())
        flat = getattr(routing, "iter_route_contexts", iter)  # later versions keep routers as they are
        for route in flat(routes):
            if getattr(route, "endpoint", None) is self._witness and getattr(route, "dependencies", None):
                raise ConfigurationError(NOT_APPLIED)

    def _guarded(self, route: BaseRoute) -> BaseRoute:
        assert isinstance(route, Route | WebSocketRoute)
        return type(route)(route.path, _Guarded(self._check_once, route.app), name=route.name)

    def _check_once(self, scope: Scope) -> None:
        app = scope.get("app")
        if app is not self._app:
            self.check(app)
            self._app = app


class _Guarded:
    """An endpoint that serves nobody in an app that believes it protected. No coroutine more for a client."""

    __slots__ = ("_app", "_check")

    def __init__(self, check: Callable[[Scope], None], app: ASGIApp) -> None:
        self._check = check
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        self._check(scope)
        return self._app(scope, receive, send)
