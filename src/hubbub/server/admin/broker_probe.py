"""How long the broker takes for an answer."""

import asyncio
from typing import Final

from hubbub.brokers import Broker
from hubbub.core.errors import BrokerError
from hubbub.hub.signals import MARK, OPTIONS

ROOM: Final = f"{MARK}admin"
"""A room that no client can join: its position is what is asked for."""

PATIENCE: Final = 2.0
"""Seconds after which the broker counts as one that does not answer."""


async def broker_latency(broker: Broker) -> float | None:
    """Ask it for a room's position, the least it can be asked; the seconds, None where no answer came."""
    assert OPTIONS.history is not None
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout(PATIENCE):
            await broker.history(ROOM, OPTIONS.history, since=None, limit=0, reverse=False)
    except (BrokerError, TimeoutError):
        return None
    return loop.time() - began
