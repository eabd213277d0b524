"""Values that may have to be waited for. What is there at once needs no task."""

from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar

from hubbub.asgi.pump import Rest

T = TypeVar("T")
U = TypeVar("U")

Maybe: TypeAlias = T | Awaitable[T]
"""The value itself, or something to await for it."""


def then(found: Maybe[T], use: Callable[[T], U]) -> Maybe[U]:
    """What `use` makes of the value, as soon as it is there. Raises what `use` raises."""
    if isawaitable(found):
        return _after(found, use)
    return use(found)


def at_once(work: Coroutine[Any, Any, T]) -> Maybe[T]:
    """Run it to its first wait: what it returns without any, else what is left of it.

    Until then it runs in whatever task this is, so it must not ask for that: `asyncio.timeout` does.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    return Rest(work, waits_for)


async def _after(found: Awaitable[T], use: Callable[[T], U]) -> U:
    return use(await found)
