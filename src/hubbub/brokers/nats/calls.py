"""Requests on a NATS connection that wait for their answers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from hubbub.core.errors import BrokerError

COMMAND_TIMEOUT: Final = 5.0
"""Seconds that an answer may take."""


class NotBegun(BrokerError):
    """Nothing of an answer came within the time in which it has to begin."""


class NoResponders(BrokerError):
    """Nothing on the server answers to the subject: JetStream is off, or the stream is not there."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the server."""

    data: bytes
    headers: Mapping[str, str]

    @property
    def status(self) -> str:
        """Three digits where the answer is a status and no message; else empty."""
        return self.headers.get("Status", "")


@dataclass(slots=True)
class _Call:
    many: bool
    future: "asyncio.Future[list[Reply]]"
    replies: list[Reply] = field(default_factory=list)


class Calls:
    """The requests under way. Each has a reply subject of its own below one inbox, never used again.

    Args:
        inbox: the subject that all reply subjects are below.
    """

    __slots__ = ("_inbox", "_numbers", "_waiting")

    def __init__(self, inbox: str) -> None:
        self._inbox = inbox
        self._numbers = count(1)
        self._waiting: dict[int, _Call] = {}

    async def ask(
        self, send: Callable[[str], Awaitable[None]], *, many: bool = False, begin: float | None = None
    ) -> list[Reply]:
        """Send a request, and wait for its answer.

        Args:
            send: sends it; gets the reply subject.
            many: wait for any number of messages and the status that ends them.
            begin: seconds within which the first of them has to come; None for `COMMAND_TIMEOUT`.

        Raises:
            NoResponders: if nothing answers to the subject.
            NotBegun: if nothing came within `begin`.
            BrokerError: if there is no answer in time, or `fail` is called meanwhile.
        """
        number = next(self._numbers)
        call = self._waiting[number] = _Call(many, asyncio.get_running_loop().create_future())
        patience: asyncio.TimerHandle | None = None
        try:
            await send(f"{self._inbox}.{number}")
            if begin is not None:
                patience = asyncio.get_running_loop().call_later(begin, _give_up, call)
            async with asyncio.timeout(COMMAND_TIMEOUT):
                replies = await call.future
        except TimeoutError as error:
            raise BrokerError(f"NATS did not answer within {COMMAND_TIMEOUT} s") from error
        finally:
            del self._waiting[number]
            if patience is not None:
                patience.cancel()
        if replies[-1].status == "503":
            raise NoResponders("nothing on the NATS server answers: is the stream there?")
        return replies

    def arrived(self, subject: str, data: bytes, headers: Mapping[str, str]) -> None:
        """An answer came on that reply subject. One that nobody waits for any more is ignored."""
        call = self._waiting.get(int(subject.rpartition(".")[2]))
        if call is None:
            return
        reply = Reply(data, headers)
        call.replies.append(reply)
        if not call.future.done() and (reply.status or not call.many):
            call.future.set_result(call.replies)

    def fail(self, error: BrokerError) -> None:
        """There will be no answers any more."""
        for call in self._waiting.values():
            if not call.future.done():
                call.future.set_exception(error)
                call.future.exception()  # who waited for it may have been cancelled


def _give_up(call: _Call) -> None:
    if not call.replies and not call.future.done():
        call.future.set_exception(NotBegun("NATS did not begin to answer"))
