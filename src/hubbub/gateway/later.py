"""Values that may have to be waited for. What is there at once needs no task."""

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeAlias, TypeVar

T = TypeVar("T")
U = TypeVar("U")

Maybe: TypeAlias = T | Awaitable[T]
"""The value itself, or something to await for it."""


def then(found: Maybe[T], use: Callable[[T], U]) -> Maybe[U]:
    """What `use` makes of the value, as soon as it is there. Raises what `use` raises."""
    if isawaitable(found):
        return _after(found, use)
    return use(found)


async def _after(found: Awaitable[T], use: Callable[[T], U]) -> U:
    return use(await found)
