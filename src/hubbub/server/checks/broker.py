"""Whether the broker is there and takes publications."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hubbub.brokers import Broker, broker_from_url
from hubbub.brokers.sqlite import SqliteBroker
from hubbub.core.errors import BrokerError, ConfigurationError
from hubbub.core.messages import Publication
from hubbub.core.positions import Position
from hubbub.server.checks.findings import Finding, error, ok, warn
from hubbub.server.configuration import Configuration
from hubbub.server.printed_settings import masked_url

PATIENCE: Final = 3.0
"""Seconds that the broker may take."""

_BUSY: Final = "in use by another process"


class _Nobody:
    """Takes what the broker delivers: nothing, since nothing is subscribed to."""

    def publication(self, publication: Publication) -> None:
        """Nothing is done."""

    def passed(self, room: str, position: Position) -> None:
        """Nothing is subscribed to."""

    def interrupted(self, room: str, position: Position) -> None:
        """Nothing is done."""


def check_broker(configuration: Configuration) -> Iterator[Finding]:
    """Connect, claim something for a moment, and leave."""
    url = configuration.settings.effective_broker
    shown, mend = (
        masked_url(url),
        f"see to it that it runs, or name another ({configuration.place('broker')})",
    )
    try:
        broker = broker_from_url(url)
        if url.startswith("embedded:"):
            yield ok("broker", f"{shown}: it is started with the server")
            return
        if isinstance(broker, SqliteBroker) and not Path(broker.path).exists():
            yield from _new_file(Path(broker.path), configuration)
            return
        asyncio.run(_try(broker))
    except (BrokerError, ConfigurationError, TimeoutError) as failure:
        if _BUSY in str(failure):
            yield warn("broker", f"{shown} is {_BUSY}", "that is well if this server runs already")
        else:
            said = (
                f"no answer in {PATIENCE:g} s"
                if isinstance(failure, TimeoutError)
                else str(failure).replace(url, shown).rstrip(".")
            )
            yield error("broker", f"{shown}: {said}", mend)
    else:
        yield ok("broker", f"{shown} answers")


def _new_file(path: Path, configuration: Configuration) -> Iterator[Finding]:
    if configuration.settings.broker is None or path.parent.is_dir():
        yield ok("broker", f"{path} will be made")
    else:
        yield error(
            "broker", f"there is no folder {path.parent}", f"make it ({configuration.place('broker')})"
        )


async def _try(broker: Broker) -> None:
    async with asyncio.timeout(PATIENCE):
        await broker.start(_Nobody())
    try:
        async with asyncio.timeout(PATIENCE):
            await broker.claim("hubbub check", 1.0)
    finally:
        await broker.stop()
