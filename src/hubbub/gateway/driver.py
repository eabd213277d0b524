"""Drives the session of one client: carries out what it asks for, on the client's connection."""

import asyncio
import logging
from abc import ABC, abstractmethod
from random import random

from hubbub.centrifuge.actions import Action, Answer, Call, Close, Done, Failed, GoLive, Send, Unsubscribe
from hubbub.centrifuge.codec import Codec
from hubbub.centrifuge.errors import DisconnectCode
from hubbub.centrifuge.session import Session
from hubbub.centrifuge.terms import Terms
from hubbub.connection import Connection
from hubbub.core.errors import CloseCode
from hubbub.core.messages import Payload
from hubbub.core.timers import Timer
from hubbub.gateway.call_tasks import CallTasks
from hubbub.gateway.formats import to_frame
from hubbub.gateway.intake import is_too_large, take
from hubbub.gateway.later import Maybe
from hubbub.gateway.service import SERVER_ERROR, Service
from hubbub.hub.parts import Parts

_logger = logging.getLogger("hubbub")


class Driver(ABC):
    """One client: its session, its connection, its calls. What calls and rooms are, `Client` knows.

    Args:
        service: what it shares with the others.
        parts: of the running hub.
        connection: for what is written; already taken over.
        codec: its encoding.
        terms: for its session.
        session: the secret with which other requests speak for it; empty for none.
    """

    __slots__ = (
        "_late",
        "_ordered",
        "_parts",
        "_quiet",
        "_replies",
        "_service",
        "_session",
        "_tasks",
        "_timer",
        "_todo",
        "codec",
        "connection",
    )

    def __init__(
        self,
        service: Service,
        parts: Parts,
        connection: Connection,
        codec: Codec,
        terms: Terms,
        session: str,
    ) -> None:
        self._service = service
        self._parts = parts
        self.connection = connection
        self.codec = codec
        now = parts.clock.now()
        self._session = Session(connection.id, codec, terms, now, spread=random(), session=session)
        self._timer: Timer | None = None
        self._todo: list[Action] | None = None  # None while nothing is carried out
        self._replies: list[bytes] | None = None  # to be written together; None while there are none
        self._ordered = False  # one of them has to come after what was published before
        self._late = False  # they are written at the end of this turn of the event loop
        self._tasks: CallTasks | None = None  # None where no call had to be waited for
        self._quiet: asyncio.Event | None = None  # set when it may be read from again
        self._schedule()

    # What `Client` knows

    @abstractmethod
    def _perform(self, call: Call) -> Maybe[Answer]:
        """Carry out a call."""

    @abstractmethod
    def _failure(self, call: Call, error: BaseException) -> Failed:
        """The answer to a call that raised this."""

    @abstractmethod
    def _go_live(self, live: GoLive) -> None:
        """Put the client into a room: its reply is written."""

    @abstractmethod
    def _leave(self, room: str) -> None:
        """Take it out of a room that it is in, or about to come into."""

    # What the transport tells

    async def run(self) -> None:
        """Read until the client has gone, then end what it began.

        Raises:
            Disconnected: at the end.
        """
        session, transport = self._session, self.connection.transport
        while True:
            # Only calls that have to be waited for can keep it busy.
            if self._tasks is not None and session.busy and not transport.closed:
                transport.read_ahead()  # else its end would not be seen
                self._quiet = asyncio.Event()
                await self._quiet.wait()
            self.receive(await transport.receive())

    def receive(self, frame: Payload) -> None:
        """Take one frame of the client's."""
        session, hub = self._session, self._service.hub
        if is_too_large(session, frame):
            self.connection.end(CloseCode.MESSAGE_TOO_BIG, f"message over {session.frame_limit} bytes")
        elif not hub.running:
            self.carry_out(session.disconnect(DisconnectCode.SHUTDOWN.disconnect))
        elif self.connection not in self._parts.connections.evictions:
            now, place = self._parts.clock.now(), self.connection.place
            actions, flooding = take(session, self.codec, frame, place, hub.stats, now)
            self.carry_out(actions)
            if flooding:
                self._parts.connections.evictions.add(self.connection, self._end_flood)

    def _end_flood(self) -> None:
        self.carry_out(self._session.disconnect(DisconnectCode.TOO_MANY_REQUESTS.disconnect))

    # Carrying out

    def carry_out(self, actions: list[Action]) -> None:
        """Do what the session wants, in its order; replies and pushes that come together share a frame."""
        if self._todo is not None:  # we are called by one of the actions
            self._todo += actions
            return
        todo = self._todo = actions
        try:
            for action in todo:  # it may grow meanwhile
                self._do(action)
            if self._ordered:
                self._write()
            elif self._replies and not self._late:
                # After the flush of what was published in this turn, for which it did not have to be earlier.
                self._late = True
                asyncio.get_running_loop().call_soon(self._write_late)
        except Exception:  # whoever called us, a timer or a broker, has nothing to do with it
            _logger.exception("closing %s", self.connection.id)
            self.connection.end(*SERVER_ERROR)
        finally:
            self._todo = None
        self._schedule()
        if self._quiet is not None and not self._session.busy:
            self._read_on()

    def _do(self, action: Action) -> None:
        if isinstance(action, Send):  # not `match`, which takes several times as long
            self._replies = self._replies or []
            self._replies.append(self.codec.encode_reply(action.reply))
            self._ordered = self._ordered or action.reply.has_its_place
        elif isinstance(action, Unsubscribe):
            self._write()
            self._leave(action.channel)
            if action.call:
                self._answered(action, Done())
        elif isinstance(action, Call):
            self._begin(action)
        elif isinstance(action, GoLive):
            self._write()
            self._go_live(action)
        elif isinstance(action, Close):
            self._write()
            self.connection.end(action.disconnect.code, action.disconnect.short_reason)

    def _write_late(self) -> None:
        self._late = False
        self._write()

    def _write(self) -> None:
        """Write the replies that have collected."""
        if not self._replies:
            return
        frame = to_frame(self.codec, self.codec.join(self._replies))
        self._replies = None
        ordered, self._ordered = self._ordered, False
        self.write(frame, ordered)

    def write(self, frame: Payload, ordered: bool = True) -> None:
        """Write a frame: if it is ordered, after what was published before."""
        connection = self.connection
        if not connection.closed:
            if ordered:  # else a burst of publications would be flushed with the reply to each of them
                self._service.hub.flush()
            connection.write([connection.codec.encode(frame)])

    def _schedule(self) -> None:
        """Have `_advance` called in time. A timer that comes too early finds out by itself."""
        due, timer = self._session.due, self._timer
        if due is None:
            if timer is not None:
                timer.cancel()
        elif timer is None or timer.action is None or due < timer.due:
            if timer is not None:
                timer.cancel()
            self._timer = self._parts.clock.at(due, self._advance)

    def _advance(self) -> None:
        self.carry_out(self._session.advance(self._parts.clock.now()))

    def _read_on(self) -> None:
        """It may be read from again, or has ended."""
        if self._quiet is not None:
            self._quiet.set()
            self._quiet = None

    # Calls

    def _begin(self, call: Call) -> None:
        """Carry out a call: at once, if it needs not wait for anything."""
        try:
            answer = self._perform(call)
        except Exception as error:  # noqa: BLE001 - an application's may raise anything
            answer = self._failure(call, error)
        if isinstance(answer, Answer):
            self._answered(call, answer)
        else:
            if self._tasks is None:
                self._tasks = CallTasks(self._answered, self._failure)
            self._tasks.add(call, answer)

    def _answered(self, call: Call, answer: Answer) -> None:
        self.carry_out(self._session.answer(call.call, answer, self._parts.clock.now()))
