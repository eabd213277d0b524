"""The metrics of ``hubbub serve``, of all its workers together."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from starlette.routing import BaseRoute

from hubbub import Hub
from hubbub.metrics import metrics_routes
from hubbub.server.settings import METRICS_FOLDER, Settings


def metrics_part(hub: Hub, settings: Settings) -> Sequence[BaseRoute]:
    """The route. Prepares the hub for it, before it runs."""
    folder = os.environ.get(METRICS_FOLDER)
    return metrics_routes(hub, settings.metrics_key, folder=Path(folder) if folder else None)


@contextmanager
def shared_metrics(settings: Settings) -> Iterator[None]:
    """Within the block, the workers that this process starts share their figures."""
    if settings.workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="hubbub-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        try:
            yield
        finally:
            os.environ.pop(METRICS_FOLDER, None)
