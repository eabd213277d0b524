"""Saying who is in a room, and asking: room by room in order, and again if the broker did not take it."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

import msgspec

from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError
from hubbub.core.presence_messages import Ask, Snapshot, Sync
from hubbub.core.timers import Timer
from hubbub.hub.background import Background
from hubbub.hub.clock import Clock
from hubbub.hub.nodes import Nodes
from hubbub.hub.presence_room import PresenceRoom
from hubbub.hub.signals import Signals

PREFIX: Final = "#p:"
"""What the names of the rooms begin with in which nodes tell of the members of a user's room."""

ASK: Final = "presence.ask"
RESEND: Final = "presence.resend"

ANSWER_TIMEOUT: Final = 1.0
"""Seconds that nodes are given to answer. What they say later is news."""

MAX_SENDING: Final = 256
"""Rooms in which something is being said at the same time."""

MAX_ANSWERS: Final = 1_000
"""Answers, at the same time, to nodes that ask for rooms of no interest here. They ask again."""

RETRY: Final = 0.25
MAX_RETRY: Final = 5.0
"""Seconds between attempts to say what the broker does not take: from the first to the second, doubling."""

ASK_AGAIN: Final = 2.0
MAX_ASK_AGAIN: Final = 30.0
"""Seconds after which nodes that did not answer are asked again: from the first to the second, doubling."""

_logger = logging.getLogger("hubbub")


class PresenceSender:
    """What one node says about presence.

    Args:
        signals: carries the messages.
        nodes: the other nodes.
        clock: the hub's.
        heard: called with each message in a room.
        lost: called when a room's messages were lost.
    """

    def __init__(
        self,
        signals: Signals,
        nodes: Nodes,
        clock: Clock,
        heard: Callable[[PresenceRoom, bytes], None],
        lost: Callable[[PresenceRoom], None],
    ) -> None:
        self._signals = signals
        self._nodes = nodes
        self._clock = clock
        self._heard = heard
        self._lost = lost
        self._sequence = count(1)
        self._background = Background("presence")
        self._turns = asyncio.Semaphore(MAX_SENDING)
        self._answers = 0  # being sent
        self._failed: dict[str, PresenceRoom] = {}  # with something to say that the broker did not take
        self._strangers: dict[str, None] = {}  # nodes that are yet to be asked for all their members
        self._retry: Timer | None = None
        self._delay = RETRY

    async def stop(self) -> None:
        """Say nothing any more."""
        if self._retry is not None:
            self._retry.cancel()
        await self._background.stop()

    def kick(self, here: PresenceRoom) -> None:
        """Say what there is to say, in the loop's next turn: changes of one turn become one message."""
        if here.unsaid and not here.sending and here.name not in self._failed:
            here.sending = True
            self._background.run(self._say(here))

    def tell_all(self, here: PresenceRoom) -> None:
        """Say who is in the room here."""
        here.local.tell_all()
        self.kick(here)

    def tell_of_nobody(self, room: str) -> None:
        """Say that nobody is in a room that is of no interest here."""
        if self._answers < MAX_ANSWERS:
            self._answers += 1
            self._background.run(self._tell_of_nobody(room))

    def ask_for_all(self, node: str) -> None:
        """Ask a node for its members in all rooms."""
        self._strangers[node] = None
        self._background.run(self._ask_strangers())

    def node_left(self, node: str) -> None:
        """Do not ask it any more."""
        self._strangers.pop(node, None)

    def forget(self, here: PresenceRoom) -> None:
        """Listen to the room no more."""
        here.forgotten = True
        self._failed.pop(here.name, None)
        here.plan(None)
        if here.listening:
            here.listening = False
            self._signals.ignore(PREFIX + here.name)

    # One room

    async def _say(self, here: PresenceRoom) -> None:
        try:
            while here.unsaid:
                async with self._turns:
                    await self._say_next(here)
            self._delay = RETRY
        except BrokerError as error:
            _logger.debug("room %s: presence was not announced: %s", here.name, error)
            self._failed[here.name] = here
            self._retry_later()
        finally:
            here.sending = False

    async def _say_next(self, here: PresenceRoom) -> None:
        if not here.listening:
            await self._listen(here)
        elif here.local.untold:
            await self._tell(here)
        elif here.sync:
            await self._send(here.name, Sync(self._nodes.id))
            here.sync = False
            self._clock.after(ANSWER_TIMEOUT, here.settle)
        else:
            await self._ask(here)

    async def _listen(self, here: PresenceRoom) -> None:
        heard, lost = partial(self._heard, here), partial(self._lost, here)
        await self._signals.listen(PREFIX + here.name, heard, lost)
        here.listening = True
        if here.ask or here.waiters:
            here.request(self._nodes.others)  # what those that came meanwhile have said was not heard
        here.sync = not here.ask
        if not self._nodes.others:
            here.settle()

    async def _tell(self, here: PresenceRoom) -> None:
        try:
            for message in here.local.take(self._nodes.id, self._sequence.__next__):
                await self._send(here.name, message)
        except BaseException:
            here.local.tell_all()
            raise

    async def _ask(self, here: PresenceRoom) -> None:
        here.ask = False
        try:
            ask = signal_codec.encode(Ask(here.name, sorted(here.awaited)))
            await self._nodes.command(ASK, ask)
        except BaseException:
            here.ask = bool(here.awaited)
            raise
        if here.awaited:
            delay = min(MAX_ASK_AGAIN, ASK_AGAIN * 2 ** min(here.asked, 10))
            here.asked += 1
            here.plan(self._clock.after(delay, partial(self._ask_again, here)))
            self._clock.after(ANSWER_TIMEOUT, here.settle)

    def _ask_again(self, here: PresenceRoom) -> None:
        here.ask = True
        self.kick(here)

    async def _send(self, room: str, message: msgspec.Struct) -> None:
        await self._signals.send(PREFIX + room, signal_codec.encode(message))

    # All rooms

    async def _tell_of_nobody(self, room: str) -> None:
        try:
            async with self._turns:
                await self._send(room, Snapshot(self._nodes.id, next(self._sequence), 0, True, []))
        except BrokerError as error:
            _logger.debug("room %s: no answer about presence: %s", room, error)  # it will be asked again
        finally:
            self._answers -= 1

    async def _ask_strangers(self) -> None:
        while self._strangers:
            node, _ = self._strangers.popitem()
            try:
                await self._nodes.command(RESEND, b"", to=node)
            except BrokerError as error:
                _logger.debug("node %s was not asked for its members: %s", node, error)
                self._strangers[node] = None
                self._retry_later()
                return

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = self._clock.after(self._delay, self._try_again)
            self._delay = min(2 * self._delay, MAX_RETRY)

    def _try_again(self) -> None:
        self._retry = None
        if not self._nodes.connected:
            self._retry_later()
            return
        failed, self._failed = self._failed, {}
        for here in failed.values():
            self.kick(here)
        if self._strangers:
            self._background.run(self._ask_strangers())
