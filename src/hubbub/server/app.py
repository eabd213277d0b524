"""The server's application: its parts, each on the public port or on the operators'."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Final, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

import hubbub
from hubbub import Hub
from hubbub.gateway.api import ApiRoute
from hubbub.server import pages
from hubbub.server.admin import admin_routes
from hubbub.server.api_docs import docs_routes
from hubbub.server.assembly import make_hub
from hubbub.server.chat import add_chat
from hubbub.server.exposure import Place, exposures
from hubbub.server.health import health_router
from hubbub.server.local_only import make_local
from hubbub.server.metrics import metrics_part
from hubbub.server.plain_chat import chat_router
from hubbub.server.plain_rooms import plain_room_router
from hubbub.server.ports import Ports
from hubbub.server.settings import Settings
from hubbub.server.startup import Startup

Part: TypeAlias = Callable[[Hub, Settings], Sequence[BaseRoute]]
"""Prepares the hub for a part of the server, before the hub runs, and returns the part's routes."""


def _chat(hub: Hub, settings: Settings) -> Sequence[BaseRoute]:
    add_chat(hub, taken=settings.rooms)
    return [*pages.chat_router.routes, *chat_router(hub).routes]


def _plain_rooms(hub: Hub, settings: Settings) -> Sequence[BaseRoute]:
    return plain_room_router(hub, taken=settings.rooms).routes


def _api(hub: Hub, settings: Settings) -> Sequence[BaseRoute]:
    return hub.gateway.api_routes(settings.api_key)


def _admin(hub: Hub, settings: Settings) -> Sequence[BaseRoute]:
    return admin_routes(hub, settings.admin_key)


PARTS: Final[dict[str, Part]] = {
    "chat": _chat,
    "plain_rooms": _plain_rooms,
    "api": _api,
    "metrics": metrics_part,
    "admin": _admin,
}
"""By the setting that switches the part; `exposures` says where each is."""


def worker_app() -> FastAPI | Ports:
    """The application in a process that the command has started."""
    return create_app(Settings.handed_on())


def create_app(settings: Settings) -> FastAPI | Ports:
    """The ASGI application of ``hubbub serve``.

    Raises:
        ConfigurationError: if a setting cannot work.
    """
    hub = make_hub(settings)
    found: dict[Place, set[str]] = {place: set() for place in Place}
    for name, exposure in exposures(settings).items():
        found[exposure.place].add(name)
    public = _app(hub, found[Place.PUBLIC], settings)
    Startup(hub, public)
    with_key = {"metrics"} if settings.metrics_key else set[str]()  # a browser would only see the refusal
    home = pages.home_router(found[Place.PUBLIC] - with_key)
    public.router.routes.extend([*hub.routes, *home.routes, *pages.router.routes])
    if settings.operator_port is None:
        return public
    operator = _app(hub, found[Place.OPERATOR], settings, described_too=public.routes)
    operator.router.routes.extend(pages.router.routes)
    return Ports(public, operator)


def _app(
    hub: Hub, parts: Set[str], settings: Settings, described_too: Iterable[BaseRoute] = ()
) -> "_DescribedApp":
    """An app with the parts of that name, and with what every app has."""
    app = _DescribedApp("docs" in parts, described_too)
    routes = {"docs": [*app.router.routes]}
    routes |= {name: [*part(hub, settings)] for name, part in PARTS.items() if name in parts}
    for name, exposure in exposures(settings).items():
        if exposure.local:
            make_local(routes.get(name, []))
    app.router.routes.extend(health_router(hub).routes)
    for name in PARTS:
        app.router.routes.extend(routes.get(name, []))
    return app


class _DescribedApp(FastAPI):
    """FastAPI with docs or without them, which may be about the routes of another app as well."""

    def __init__(self, docs: bool, described_too: Iterable[BaseRoute]) -> None:
        super().__init__(
            title="Hubbub",
            version=hubbub.__version__,
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json" if docs else None,
        )
        self._described_too = described_too
        if docs:
            self.router.routes.extend(docs_routes())

    def openapi(self) -> dict[str, object]:
        """The description of the HTTP endpoints."""
        if self.openapi_schema is None:
            routes = {getattr(one, "path", ""): one for one in (*self._described_too, *self.routes)}
            self.openapi_schema = get_openapi(
                title=self.title, version=self.version, routes=list(routes.values())
            )
            for route in self.routes:
                if isinstance(route, ApiRoute):
                    _add(self.openapi_schema, route.description)
        return self.openapi_schema


def _add(document: dict[str, object], more: Mapping[str, Mapping[str, object]]) -> None:
    for part, entries in more.items():
        known = document.setdefault(part, {})
        assert isinstance(known, dict)
        for name, entry in entries.items():
            if part == "components":
                known.setdefault(name, {}).update(entry)
            else:
                known[name] = entry
