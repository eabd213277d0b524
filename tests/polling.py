"""Waiting for something to become true, with a deadline."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 20.0
"""Seconds until a test gives up waiting. No promise of the product: the machine may be busy with others."""


async def eventually(look: Callable[[], T | Awaitable[T]], seconds: float = DEADLINE) -> T:
    """Look again and again until what is seen is true, and return it; fail with the last look at the end."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        seen = look()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            return seen  # type: ignore[return-value]
        if loop.time() > deadline:
            raise AssertionError(f"not within {seconds} s; last seen: {seen!r}")
        await asyncio.sleep(0.002)


async def turns(count: int = 20) -> None:
    """Let the event loop go round, so that whatever is ready has run."""
    for _ in range(count):
        await asyncio.sleep(0)
