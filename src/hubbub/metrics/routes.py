"""``/metrics``: for Prometheus, in the format that it asks for, with a key where one is set."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hubbub.core.stats import RefusalReason
from hubbub.hub import Hub
from hubbub.keys import Keys, shown_key
from hubbub.metrics.families import HubCollector, Together
from hubbub.metrics.shared import SharedFigures

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_logger = logging.getLogger("hubbub")


def metrics_routes(
    hub: Hub, keys: Sequence[str] | str = (), *, folder: Path | None = None, path: str = "/metrics"
) -> list[BaseRoute]:
    """Routes for ``Starlette(routes=…)`` or ``app.router.routes.extend(…)``. Call it before the hub runs.

    Args:
        hub: whose figures they are.
        keys: what a request has to bring in ``Authorization: Bearer …``, each of at least 32 bytes; several,
            so that one can be changed without a stop. Without any, whoever reaches the route reads it.
        folder: where the processes of this machine that serve one app share their figures: with several
            workers, whichever of them is asked answers for all. None for a single process.
        path: of the route.

    Raises:
        ConfigurationError: if a key is too short.
    """
    collector = hub_collector(hub, folder=folder)
    return MetricsEndpoint(hub, collector, Keys(keys), path).routes


def hub_collector(hub: Hub, *, folder: Path | None = None) -> HubCollector:
    """For a registry of your own: ``registry.register(hub_collector(hub))``. Call it before the hub runs.

    Args:
        hub: whose metrics they are. Collect on the thread of its event loop.
        folder: as for `metrics_routes`.
    """
    if folder is None:
        return HubCollector(lambda: Together(hub.figures, 1))
    shared = SharedFigures(folder, lambda: hub.figures)
    hub.companions.append(shared)
    return HubCollector(shared.together)


class MetricsEndpoint:
    """The route: 401 without a good key.

    Args:
        hub: counts who is refused.
        collector: of the metrics.
        keys: good ones; without any, everybody's request is answered.
        path: of the route.
    """

    __slots__ = ("_hub", "_keys", "_registry", "routes")

    def __init__(self, hub: Hub, collector: HubCollector, keys: Keys, path: str) -> None:
        self._hub = hub
        self._keys = keys
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(collector)
        self.routes: list[BaseRoute] = [Route(path, self._answer, methods=["GET"])]
        """For ``Starlette(routes=…)``."""

    async def _answer(self, request: Request) -> Response:
        if self._keys and not self._keys.known(shown_key(request.headers, "bearer")):
            self._hub.stats.refuse(RefusalReason.KEY)
            client = request.client.host if request.client is not None else "somebody"
            _logger.info("refused the metrics to %s: a wrong key, or none", client)
            return Response("Unauthorized\n", 401, {**_HEADERS, "WWW-Authenticate": "Bearer"})
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={**_HEADERS, "Content-Type": content_type})
