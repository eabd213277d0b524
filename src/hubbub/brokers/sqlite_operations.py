"""What callers ask of the SQLite broker's thread: one object for each call, with the future it waits on."""

import asyncio
from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import msgspec

from hubbub.brokers.base import HistoryPage
from hubbub.core.errors import BrokerError
from hubbub.core.history import History
from hubbub.core.messages import Payload, Publication
from hubbub.core.positions import Position

T = TypeVar("T")


class Append(msgspec.Struct, eq=False):
    """Publish. Without `history` only the idempotency key is stored."""

    room: str
    payload: Payload
    time: float
    publisher: str | None
    key: str | None
    tags: Mapping[str, str] | None
    history: History | None
    idempotency_key: bytes | None
    size: int
    """Bytes of the payload."""

    data: bytes
    """The envelope as it is stored."""

    waiter: asyncio.Future[Publication]
    outcome: Publication | BrokerError | None = None
    fresh: bool = False
    """Whether `outcome` was published now, and not earlier under the same idempotency key."""

    def resolve(self) -> None:
        """Give the caller the outcome."""
        waiter, outcome = self.waiter, self.outcome
        if type(outcome) is Publication and not waiter.done():
            waiter.set_result(outcome)
        else:
            _resolve(waiter, outcome)


class Clear(msgspec.Struct, eq=False):
    """Forget a room's publications."""

    room: str
    waiter: asyncio.Future[None]

    def resolve(self) -> None:
        """Let the caller go on."""
        if not self.waiter.done():
            self.waiter.set_result(None)


class Erase(msgspec.Struct, eq=False):
    """Take one publication out of a room's history."""

    room: str
    position: Position
    waiter: asyncio.Future[bool]
    outcome: bool | None = None

    def resolve(self) -> None:
        """Give the caller the outcome."""
        _resolve(self.waiter, self.outcome)


class Claim(msgspec.Struct, eq=False):
    """Claim a key for some seconds."""

    key: bytes
    time: float
    ttl: float
    waiter: asyncio.Future[bool]
    outcome: bool | BrokerError | None = None

    def resolve(self) -> None:
        """Give the caller the outcome."""
        _resolve(self.waiter, self.outcome)


class Read(msgspec.Struct, eq=False):
    """Read a room's history."""

    room: str
    time: float
    history: History
    since: Position | None
    limit: int | None
    reverse: bool
    waiter: asyncio.Future[HistoryPage]
    outcome: HistoryPage | BrokerError | None = None

    def resolve(self) -> None:
        """Give the caller the outcome."""
        _resolve(self.waiter, self.outcome)


Write: TypeAlias = Append | Clear | Erase | Claim
Operation: TypeAlias = Write | Read


def fail(operation: Operation, message: str) -> None:
    """Let the caller have a `BrokerError` of its own."""
    if not operation.waiter.done():
        operation.waiter.set_exception(BrokerError(message))


def _resolve(waiter: asyncio.Future[T], outcome: T | BrokerError | None) -> None:
    if waiter.done():  # the caller was cancelled
        return
    if isinstance(outcome, BrokerError):
        waiter.set_exception(outcome)
    elif outcome is None:
        waiter.set_exception(BrokerError("the operation was not done"))
    else:
        waiter.set_result(outcome)
