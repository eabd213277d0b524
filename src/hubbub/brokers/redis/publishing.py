"""The link for commands: those of one tick are one pipeline, and each caller gets its own answer."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from hubbub.brokers.redis.link import Link, Refusal, Reply, packed
from hubbub.brokers.redis.reconnecting import Locate, ReconnectingLink
from hubbub.brokers.redis.requests import Request
from hubbub.brokers.redis.scripts import Scripts
from hubbub.brokers.redis.url import Settings
from hubbub.core.errors import BrokerError

MAX_COMMANDS = 100_000
"""Commands that may wait for their answer at the same time."""

MAX_BYTES = 67_108_864
"""Bytes of commands that may wait for their answer at the same time; a single one may be larger."""

PIPELINE_BYTES = 1_048_576
"""Bytes handed to the connection at once, unless one command alone is larger."""

_PING = packed(b"PING")


@dataclass(slots=True, eq=False)
class Command:
    """What one caller asked for."""

    data: bytes
    answer: asyncio.Future[Reply]
    since: float
    """When it was asked, by the event loop's clock."""

    request: Request | None
    """The call of a script that `data` is the rest of; None where `data` is all."""


class Commands(ReconnectingLink):
    """Commands in, answers out, in the order of asking.

    An answer belongs to the place of its command in the order, never to who waits: a caller who goes away
    leaves the place behind, and the answer is thrown away when it comes.
    """

    purpose = "link for commands"

    def __init__(
        self,
        locate: Locate,
        settings: Settings,
        scripts: Scripts,
        ready: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        super().__init__(locate, settings, ready, lost)
        self._scripts = scripts
        self._waiting: deque[Command] = deque()
        self._sent: deque[Command] = deque()
        self._unknown: list[Command] = []  # sent to a server that did not know the script
        self._bytes = 0  # of all these
        self._count = 0

    def ask(self, *parts: bytes) -> asyncio.Future[Reply]:
        """Ask for a command.

        The future ends with what the server answered, or with `BrokerError` if it refused or if the link was
        lost on the way: then nobody knows whether it was done.

        Raises:
            BrokerError: if the link is down, or too many wait already.
        """
        return self._append(packed(*parts), None)

    def run(self, request: Request) -> asyncio.Future[Reply]:
        """Ask for a script; like `ask`."""
        return self._append(request.data, request)

    def _append(self, data: bytes, request: Request | None) -> asyncio.Future[Reply]:
        if self.address is None:
            raise BrokerError("there is no link to the Redis server")
        size = self._bytes + len(data)
        if self._count >= MAX_COMMANDS or (size > MAX_BYTES and self._bytes):
            raise BrokerError("too many publishes wait for the Redis server")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply] = loop.create_future()
        self._waiting.append(Command(data, answer, loop.time(), request))
        self._bytes, self._count = size, self._count + 1
        self._wake.set()
        return answer

    def _forget(self, command: Command) -> None:
        self._bytes -= len(command.data)
        self._count -= 1

    async def _greet(self, link: Link) -> None:
        await super()._greet(link)
        for script in (
            self._scripts.position,
            self._scripts.publish,
            self._scripts.publish_once,
            self._scripts.read,
            self._scripts.erase,
        ):
            await link.ask(b"SCRIPT", b"LOAD", script.text)

    def _opened(self) -> None:
        self._ready()

    def _closed(self, error: BrokerError) -> None:
        """Those not sent failed for sure; of those sent nobody knows."""
        unsure = (
            f"{error}; it is not known whether a publish under way was accepted: "
            "a retry with the same idempotency key is safe"
        )
        for command in self._sent:
            _fail(command, BrokerError(unsure))
        for command in (*self._unknown, *self._waiting):
            _fail(command, BrokerError(str(error)))
        self._sent.clear()
        self._unknown.clear()
        self._waiting.clear()
        self._bytes = self._count = 0

    def _take(self) -> bytes:
        if self._unknown:
            return self._take_unknown()
        pieces: list[bytes] = []
        size = 0
        while self._waiting and size < PIPELINE_BYTES:
            command = self._waiting.popleft()
            if command.answer.done():
                self._forget(command)
                continue
            if command.request is not None:
                pieces.append(command.request.head)
            pieces.append(command.data)
            size += len(command.data)
            self._sent.append(command)
        return b"".join(pieces)

    def _take_unknown(self) -> bytes:
        """Send the scripts' text, before anything newer: but not before it is known who else needs it."""
        if self._sent:
            return b""
        commands, self._unknown = self._unknown, []
        self._sent.extend(commands)
        return b"".join(
            command.data if command.request is None else command.request.by_text() for command in commands
        )

    def _received(self, reply: Reply) -> None:
        if not self._sent:
            raise BrokerError("the Redis server answered what nobody asked")
        command = self._sent.popleft()
        if isinstance(reply, Refusal) and reply.kind == "NOSCRIPT" and command.request is not None:
            self._unknown.append(command)
        else:
            self._forget(command)
            self._answer(command, reply)
        if self._unknown and not self._sent:
            self._wake.set()

    def _answer(self, command: Command, reply: Reply) -> None:
        if not isinstance(reply, Refusal):
            if not command.answer.done():
                command.answer.set_result(reply)
            return
        _fail(command, reply)
        if reply.kind in ("READONLY", "MASTERDOWN", "LOADING"):
            raise BrokerError(str(reply))

    def _ping(self) -> None:
        self._append(_PING, None).add_done_callback(_seen)

    def _owed_since(self) -> float | None:
        oldest = self._sent or self._unknown or self._waiting
        return oldest[0].since if oldest else None


def _fail(command: Command, error: BrokerError) -> None:
    if not command.answer.done():
        command.answer.set_exception(error)
        command.answer.exception()  # seen: who asked may have gone away


def _seen(answer: asyncio.Future[Reply]) -> None:
    if not answer.cancelled():
        answer.exception()
