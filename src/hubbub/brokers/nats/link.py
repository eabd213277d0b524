"""One connection to a NATS server: requests, subscriptions, and noticing that it is lost.

A connection that is lost is never used again: a new `Link` replaces it.
"""

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from hubbub.brokers.nats.calls import Calls, NotBegun, Reply
from hubbub.brokers.nats.client import LOST, Client, Handle, Listener
from hubbub.brokers.nats.options import NatsOptions
from hubbub.core.errors import BrokerError, ConfigurationError

OLDEST_SERVER: Final = (2, 12)

LOOK: Final = 0.5
"""Seconds between looks whether the server is there."""

SILENCE: Final = 2.0
"""Seconds without a sign of life after which the server counts as frozen."""

PATIENCE: Final = (0.25, 0.5, 1.0, 1.0, 1.0, 1.25)
"""Seconds in which the answer to what is only read has to begin; after each but the last it is asked anew."""

_logger = logging.getLogger("hubbub")


class Link:
    """A connection that begins with `open`, and ends with `close` or by being lost.

    Args:
        options: where to connect.
        lost: called once when the connection is lost; not after `close`.
    """

    def __init__(self, options: NatsOptions, lost: Callable[[], None]) -> None:
        self._options = options
        self._on_lost = lost
        self._client = Client(self._end, self._refuse)
        self._inbox = f"{options.prefix}.reply.{secrets.token_hex(12)}"
        self._calls = Calls(self._inbox)
        self._echo: asyncio.Future[None] | None = None  # of those who asked since the last one was sent
        self._refused = 0  # permission errors of this connection
        self._watching: asyncio.Task[None] | None = None
        self._dropped: list[Handle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.up = False
        """Whether it is open and, as far as it knows, the server is there."""

    @property
    def discovered(self) -> tuple[str, ...]:
        """The other servers of the cluster, as the server names them: ``host:port``."""
        return self._client.discovered

    async def open(self, servers: tuple[str, ...]) -> None:
        """Connect to one of these servers.

        Raises:
            BrokerError: if none of them can be reached, or none lets us in.
            ConfigurationError: if the one that answers is too old, or has no TLS where that is a must.
        """
        problem: Exception | None = None
        for server in random.sample(servers, len(servers)):
            try:
                await self._client.connect(server, self._options)
                break
            except BrokerError as error:
                problem = error
        else:
            raise BrokerError(f"no NATS server can be reached: {problem or 'none is known'}") from problem
        if (found := self._client.version) < OLDEST_SERVER:
            await self._client.abandon()
            said, wanted = (".".join(map(str, numbers)) for numbers in (found, OLDEST_SERVER))
            raise ConfigurationError(f"this is NATS {said}; {wanted} is needed")
        await self._begin()

    async def _begin(self) -> None:
        self.up = True
        try:
            await self.subscribe(f"{self._inbox}.*", self._replied, with_subject=True)
            await self.barrier()
        except BaseException:
            await self.close()
            raise
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """End the connection; everything that waits for an answer fails."""
        was_up = self.up
        self._end(None)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if was_up:
            await self._client.close()
        await self._client.abandon()
        for task in self._tasks:
            task.cancel()

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Hand a message to the connection. `barrier` tells whether the server has it.

        Raises:
            BrokerError: if the connection is lost, or the message is larger than the server takes.
        """
        await self._send(subject, data, headers, "")

    async def request(
        self, subject: str, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a message and wait for the answer.

        Raises:
            NoResponders: if nothing answers to the subject.
            BrokerError: if there is no answer in time, or the connection is lost meanwhile.
        """
        return (await self._calls.ask(lambda reply: self._send(subject, data, headers, reply)))[0]

    async def request_many(self, subject: str, data: bytes) -> list[Reply]:
        """Read something: send a message and wait for all answers; the last is a status. Raises as `request`.

        It goes to any of the servers that have the stream, and a frozen one stays among them for a minute.
        """
        for begin in PATIENCE:
            try:
                return await self._calls.ask(partial(self._send, subject, data, None), many=True, begin=begin)
            except NotBegun:
                continue
        raise BrokerError(f"NATS did not answer within {sum(PATIENCE)} s")

    async def barrier(self) -> None:
        """Return once the server has taken all that was sent before. Calls in one tick share one echo.

        Raises:
            BrokerError: if it did not, or if it refused something meanwhile for want of permission.
        """
        if not self.up:
            raise BrokerError("not connected to NATS")
        if self._echo is None:
            self._echo = asyncio.get_running_loop().create_future()
            self._own(self._send_echo(self._refused))
        await asyncio.shield(self._echo)

    async def subscribe(self, subject: str, listener: Listener, *, with_subject: bool = False) -> Handle:
        """Hear a subject. `barrier` tells when the server knows.

        Args:
            subject: what to hear.
            listener: called on the event loop with each message; what it raises is logged.
            with_subject: put the message's subject into the headers, as "Subject".

        Raises:
            BrokerError: if the connection is lost.
        """
        if not self.up:
            raise BrokerError("not connected to NATS")
        return await self._client.subscribe(subject, listener, with_subject=with_subject)

    def drop(self, handle: Handle) -> None:
        """End a subscription, soon."""
        self._dropped.append(handle)
        if len(self._dropped) == 1:
            self._own(self._drop_all())

    async def _drop_all(self) -> None:
        while self._dropped and self.up:
            await self._dropped.pop().end()
        self._dropped.clear()

    async def _send(self, subject: str, data: bytes, headers: Mapping[str, str] | None, reply: str) -> None:
        if not self.up:
            raise BrokerError("not connected to NATS")
        await self._client.publish(subject, data, reply, headers)

    async def _send_echo(self, refused: int) -> None:
        await asyncio.sleep(0)  # until all who publish in this tick have
        echo, self._echo = self._echo, None
        if echo is None:  # the link has ended meanwhile
            return
        try:
            await self._calls.ask(lambda inbox: self._send(inbox, b"", None, ""))
            if self._refused > refused:
                raise BrokerError("the NATS server does not permit it")
            echo.set_result(None)
        except BrokerError as error:
            echo.set_exception(error)
        finally:
            if not echo.done():
                echo.set_exception(BrokerError("the broker stops"))
            echo.exception()  # who waited for it may have been cancelled

    def _replied(self, data: bytes, headers: Mapping[str, str]) -> None:
        self._calls.arrived(headers["Subject"], data, headers)

    async def _watch(self) -> None:
        """Notice a server that is gone or frozen: no message at all, and no echo of ours."""
        while self.up:
            heard = self._client.heard
            await asyncio.sleep(LOOK)
            if not self._client.connected:
                self._end(LOST)
            if self.up and heard == self._client.heard and not await self._answers(heard):
                self._end(f"the NATS server was silent for {SILENCE} s")

    async def _answers(self, heard: int) -> bool:
        try:
            async with asyncio.timeout(SILENCE):
                await self.barrier()
        except TimeoutError:
            await asyncio.sleep(0.05)  # it may be this process that was away: what it was sent is read first
            return heard != self._client.heard
        except BrokerError:
            return self._client.connected
        return True

    def _end(self, reason: str | None) -> None:
        if not self.up:
            return
        self.up = False
        error = BrokerError(reason or "the broker stops")
        self._calls.fail(error)
        if self._echo is not None:  # `close` may cancel the task that sends it before its first step
            self._echo.set_exception(error)
            self._echo.exception()
            self._echo = None
        if reason is not None:
            _logger.warning("%s", reason)
            self._on_lost()

    def _refuse(self) -> None:
        self._refused += 1

    def _own(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("NATS: a task failed", exc_info=task.exception())
