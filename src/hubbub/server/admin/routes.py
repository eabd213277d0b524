"""The paths of the admin page."""

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from hubbub.application import Hub
from hubbub.gateway.api.methods import check_body
from hubbub.server.admin.access import AdminAccess
from hubbub.server.admin.backstage import Backstage
from hubbub.server.admin.commands import Command, Drain, EndConnection, EndUser, Publish, Unsubscribe
from hubbub.server.admin.connection_table import ConnectionQuery, Mark
from hubbub.server.admin.requests import Requests, Work
from hubbub.server.admin.room_table import RoomQuery
from hubbub.server.admin.viewers import Viewers
from hubbub.server.pages import page

PAGE_PATH: Final = "/admin"
FEED_PATH: Final = "/admin/feed"
API_PATH: Final = "/admin/api"

COMMANDS: Final[dict[str, type[Command]]] = {
    "disconnect": EndConnection,
    "disconnect_user": EndUser,
    "unsubscribe": Unsubscribe,
    "drain": Drain,
}
"""What is done on all nodes, by the last part of its path."""


def admin_routes(hub: Hub, keys: Sequence[str]) -> list[BaseRoute]:
    """The page, its socket, and what it asks for; nothing without a key.

    Call it before the hub runs.

    Args:
        hub: what is looked into and acted on.
        keys: which the page has to show, each of at least 32 bytes.

    Raises:
        ConfigurationError: if a key is too short.
    """
    access = AdminAccess(keys)
    if not access:
        return []
    viewers = Viewers(hub, access)
    paths = _Paths(Backstage(hub, viewers))
    requests = Requests(access)
    return [
        Route(PAGE_PATH, _page, methods=["GET"], include_in_schema=False),
        WebSocketRoute(FEED_PATH, viewers),
        requests.get(f"{API_PATH}/session", _session),
        requests.get(f"{API_PATH}/rooms", paths.rooms),
        requests.get(f"{API_PATH}/connections", paths.connections),
        requests.get(f"{API_PATH}/connections/{{id}}", paths.connection),
        requests.post(f"{API_PATH}/publish", paths.publish),
        *(requests.post(f"{API_PATH}/{name}", paths.command(kind)) for name, kind in COMMANDS.items()),
    ]


async def _page(request: Request) -> Response:
    return page("admin/admin.html")


async def _session(request: Request, body: bytes) -> object:
    """The key is good, else this would not be reached."""
    return {}


class _Paths:
    """What the paths below `API_PATH` do.

    Args:
        backstage: knows what there is while the hub runs.
    """

    def __init__(self, backstage: Backstage) -> None:
        self._backstage = backstage

    async def rooms(self, request: Request, body: bytes) -> object:
        """A page of rooms."""
        query = msgspec.convert(dict(request.query_params), RoomQuery, strict=False)
        return await self._backstage.rooms.page(query)

    async def connections(self, request: Request, body: bytes) -> object:
        """A page of connections."""
        given: dict[str, object] = dict(request.query_params)
        if "after" in given:
            given["after"] = _mark.decode(str(given["after"]))
        return await self._backstage.connections.page(msgspec.convert(given, ConnectionQuery, strict=False))

    async def connection(self, request: Request, body: bytes) -> object:
        """One connection."""
        return await self._backstage.connections.one(request.path_params["id"])

    async def publish(self, request: Request, body: bytes) -> object:
        """Publish."""
        check_body(body)
        return await self._backstage.commands.publish(msgspec.json.decode(body, type=Publish))

    def command(self, kind: type[Command]) -> Work:
        """Do something on all nodes."""

        async def carry_out(request: Request, body: bytes) -> object:
            given = msgspec.json.decode(body)
            command = msgspec.convert(given, kind)
            return await self._backstage.commands.carry_out(command)

        return carry_out


_mark: Final = msgspec.json.Decoder(Mark)
