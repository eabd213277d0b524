"""Gateway: the endpoints of the Centrifuge protocol for a hub."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from hubbub.centrifuge.terms import Terms
from hubbub.core.errors import ConfigurationError
from hubbub.gateway.api import ApiEndpoint, Methods
from hubbub.gateway.calls import Calls
from hubbub.gateway.emulation import EmulationEndpoint
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.handlers import Handlers
from hubbub.gateway.service import Service
from hubbub.gateway.standard import StandardHandlers
from hubbub.gateway.streams import StreamEndpoint
from hubbub.gateway.tokens import TokenVerifier
from hubbub.gateway.websocket import Front, WebSocketEndpoint
from hubbub.hub import Hub
from hubbub.keys import Keys

WEBSOCKET_PATH: Final = "/connection/websocket"
SSE_PATH: Final = "/connection/sse"
HTTP_STREAM_PATH: Final = "/connection/http_stream"
EMULATION_PATH: Final = "/emulation"


class Gateway:
    """Lets clients of the Centrifuge protocol into a hub's rooms. One for each hub::

        gateway = Gateway(hub, TokenVerifier(SECRET))
        app = Starlette(routes=gateway.routes, lifespan=hub.lifespan)

    Args:
        hub: whose rooms, options, limits, heartbeat and origins apply.
        tokens: checks connection tokens, and subscription tokens unless `subscription_tokens` does.
        subscription_tokens: checks subscription tokens.
        anonymous: let clients in that show no token.
        personal_room: a name like ``"user:{id}"``: every user's connections are in the user's own room.
        handlers: decide in place of all these.
        version: the server's, if clients shall know it.

    Raises:
        ConfigurationError: if nobody could come in, if `handlers` is given beside what they decide, or if the
            hub runs already or has a gateway already.
    """

    __slots__ = ("_version", "_websocket", "everywhere", "routes", "service")

    def __init__(
        self,
        hub: Hub,
        tokens: TokenVerifier | None = None,
        *,
        subscription_tokens: TokenVerifier | None = None,
        anonymous: bool = False,
        personal_room: str | None = None,
        handlers: Handlers | None = None,
        version: str = "",
    ) -> None:
        standard = tokens or subscription_tokens or anonymous or personal_room
        if (handlers is None) is not bool(tokens or anonymous) or (handlers is not None and standard):
            raise ConfigurationError("A Gateway needs tokens or anonymous=True, or handlers and nothing else")
        handlers = handlers or StandardHandlers(
            hub,
            tokens,
            subscription_tokens=subscription_tokens,
            anonymous=anonymous,
            personal_room=personal_room,
        )
        # A client that comes back tells in its first message where it stands in all its rooms.
        limits = replace(hub.limits, first_message_bytes=hub.limits.message_bytes)
        terms = Terms(limits=limits, heartbeat=hub.heartbeat, version=version)
        self.everywhere = Everywhere(hub)
        self.service = Service(hub, handlers, terms, replace(terms, heartbeat=None))
        shared = self.service, Calls(hub, handlers, self.everywhere), self.everywhere
        self._websocket = WebSocketEndpoint(*shared)
        self.routes: list[BaseRoute] = [
            WebSocketRoute(WEBSOCKET_PATH, self._websocket, name="centrifuge"),
            Route(SSE_PATH, StreamEndpoint(*shared, "sse")),
            Route(HTTP_STREAM_PATH, StreamEndpoint(*shared, "http_stream")),
            Route(EMULATION_PATH, EmulationEndpoint(hub, self.everywhere)),
        ]
        """For ``Starlette(routes=…)`` or ``app.router.routes.extend(…)``."""
        self._version = version

    def api_routes(self, keys: Sequence[str] | str, path: str = "/api") -> list[BaseRoute]:
        """The server's HTTP API, compatible with Centrifugo's: ``POST /api/publish`` and so on.

        Args:
            keys: which requests have to show, each of at least 32 bytes; without any, all is refused.
            path: where the routes begin.

        Raises:
            ConfigurationError: for a key that is too short.
        """
        hub, handlers = self.service.hub, self.service.handlers
        known = (
            handlers.knows if isinstance(handlers, StandardHandlers) else lambda room: bool(hub.options(room))
        )
        methods = Methods(hub, self.everywhere, known, self._version)
        return ApiEndpoint(hub, methods, Keys(keys), path).routes

    def before(self, app: ASGIApp) -> ASGIApp:
        """The app with the WebSocket endpoint in front of it, not among its routes: faster, and smaller."""
        return Front(app, endpoint=self._websocket, path=WEBSOCKET_PATH)
