"""Who is in which room, on all nodes: each node tells of its members in a room of the broker, and keeps all.

A node's own members count, here as elsewhere, once the broker has brought back what was said of them: so all
nodes see the same changes in the same order. Nothing is stored: who begins to listen asks the others.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from hubbub.core.errors import BrokerError
from hubbub.core.presence import Change, Present
from hubbub.core.presence_messages import Member, Snapshot, Sync, read, read_ask
from hubbub.core.timers import Timer
from hubbub.hub.clock import Clock
from hubbub.hub.nodes import Nodes
from hubbub.hub.presence_room import PresenceRoom
from hubbub.hub.presence_sender import ANSWER_TIMEOUT, ASK, RESEND, PresenceSender
from hubbub.hub.signals import Signals

KEEP: Final = 60.0
"""Seconds that a room is kept after the last member here left and the last query was made."""

MAX_IDLE: Final = 10_000
"""Rooms without members here that are kept at the same time; beyond, the one unused longest is forgotten."""

RECOVERY_DELAY: Final = 0.25
"""Seconds after which a loss is repaired: one repair for what is lost at about the same time."""

_logger = logging.getLogger("hubbub")

Told: TypeAlias = Callable[[str, Present], None]
"""Called with the name of a room and a user there. Does not wait."""

MemberMoved: TypeAlias = Callable[[str, Member, bool], None]
"""Called with the name of a room and a connection that came (True) or went. Does not wait."""


def _ignore(room: str, present: Present) -> None:
    """Tell nobody."""


def _overlook(room: str, member: Member, came: bool) -> None:
    """Tell nobody."""


class Presence:
    """The members of all rooms with presence. It watches `nodes`.

    For each user and room, `joined` or `found` and `left` take turns, until the room is forgotten.

    Args:
        signals: carries the messages.
        nodes: who else there is. Started before, and stopped after this.
        clock: the hub's.
        joined: called when a user's first connection came into a room in which this node is interested.
        left: called when the last one went, or its node.
        found: called for users who were there already when this node began to be interested.
        moved: called for each connection that came or went, but for those that were there already.
    """

    def __init__(
        self,
        signals: Signals,
        nodes: Nodes,
        clock: Clock,
        *,
        joined: Told,
        left: Told,
        found: Told = _ignore,
        moved: MemberMoved = _overlook,
    ) -> None:
        self._nodes = nodes
        self._clock = clock
        self._joined = joined
        self._left = left
        self._found = found
        self._moved = moved
        self._rooms: dict[str, PresenceRoom] = {}
        self._idle: OrderedDict[str, float] = OrderedDict()  # without members here: when it was used last
        self._sweeping: Timer | None = None
        self._sender = PresenceSender(signals, nodes, clock, self._heard, self._lost)
        nodes.watch(self)
        nodes.handle(ASK, self._asked)
        nodes.handle(RESEND, self._asked_for_all)

    # What the hub does

    def join(self, room: str, member: Member) -> None:
        """A connection of this node came into a room, or what is known about it has changed.

        Raises:
            LimitReached: if this node has 100,000 in this room.
        """
        here = self._room(room)
        here.local.join(member)
        self._idle.pop(room, None)
        self._sender.kick(here)

    def leave(self, room: str, client: str) -> None:
        """A connection of this node left a room. One that was not there is no error."""
        here = self._rooms.get(room)
        if here is not None and here.local.leave(client):
            if not here.local:
                self._rest(here)
            self._sender.kick(here)

    async def members(self, room: str) -> list[Present]:
        """Everybody in a room, on all nodes.

        Where this node has no members in the room, the other nodes are asked, and one that does not answer
        within a second is left out. For the next minute the answer is known.

        Raises:
            BrokerError: if the other nodes cannot be asked.
        """
        here = self._room(room)
        if not here.local:
            self._rest(here)
        if not here.complete:
            if not here.settled and not here.awaited:
                here.request(self._nodes.others)
            self._sender.kick(here)
            await self._wait(here)
            if not here.listening or (not here.settled and here.unsaid):
                raise BrokerError("It is not known who is in the room: the broker does not answer")
        return here.table.present()

    async def stop(self) -> None:
        """Forget everything. What was not said yet stays unsaid: the node says goodbye next."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        await self._sender.stop()
        rooms, self._rooms = self._rooms, {}
        self._idle.clear()
        for here in rooms.values():
            self._sender.forget(here)
            here.wake()

    # What the nodes tell

    def node_came(self, node: str) -> None:
        """Ask it for its members: it may have been lost, and its members with it."""
        if self._rooms:
            self._sender.ask_for_all(node)

    def node_left(self, node: str) -> None:
        """Its members have left all rooms."""
        self._sender.node_left(node)
        for here in list(self._rooms.values()):
            self._tell(here, here.table.drop(node, partial(self._tell_of_member, here)), quiet=False)
            here.answered(node)

    def commands_lost(self) -> None:
        """Another node may have asked for the members."""
        for here in self._rooms.values():
            if here.local:
                self._sender.tell_all(here)

    def _asked_for_all(self, node: str, payload: bytes) -> None:
        self.commands_lost()

    def _asked(self, node: str, payload: bytes) -> None:
        ask = read_ask(payload)
        if ask is None or self._nodes.id not in ask.nodes:
            return
        here = self._rooms.get(ask.room)
        if here is not None:
            self._sender.tell_all(here)
        else:
            self._sender.tell_of_nobody(ask.room)

    # Rooms of interest

    def _room(self, name: str) -> PresenceRoom:
        here = self._rooms.get(name)
        if here is None:
            here = self._rooms[name] = PresenceRoom(name, self._nodes.id)
        return here

    def _rest(self, here: PresenceRoom) -> None:
        self._idle[here.name] = self._clock.now()
        self._idle.move_to_end(here.name)
        if self._sweeping is None:
            self._sweeping = self._clock.after(KEEP, self._sweep)
        if len(self._idle) > MAX_IDLE:
            self._forget_oldest()

    def _sweep(self) -> None:
        self._sweeping = None
        for _ in range(len(self._idle)):
            due = next(iter(self._idle.values())) + KEEP
            if due > self._clock.now():
                break
            self._forget_oldest()
        if self._idle:
            self._sweeping = self._clock.at(next(iter(self._idle.values())) + KEEP, self._sweep)

    def _forget_oldest(self) -> None:
        name, _ = self._idle.popitem(last=False)
        here = self._rooms[name]
        if here.busy:
            self._idle[name] = self._clock.now()
        else:
            del self._rooms[name]
            self._sender.forget(here)

    async def _wait(self, here: PresenceRoom) -> None:
        waiter = asyncio.get_running_loop().create_future()
        here.waiters.add(waiter)
        timer = self._clock.after(ANSWER_TIMEOUT, partial(_go_on, waiter))
        try:
            await waiter
        finally:
            here.waiters.discard(waiter)
            timer.cancel()

    # Hearing

    def _heard(self, here: PresenceRoom, data: bytes) -> None:
        message = read(data)
        if message is None or here.forgotten or not self._nodes.seen(message.node):
            return
        own = message.node == self._nodes.id
        if isinstance(message, Sync):
            if here.local and not own:
                self._sender.tell_all(here)
        elif not here.table.outdated(message):
            whole = isinstance(message, Snapshot) and message.last
            quiet = isinstance(message, Snapshot) and not own and not here.settled
            moved = partial(self._tell_of_member, here, quiet=quiet)
            self._tell(here, here.table.apply(message, moved), quiet=quiet)
            here.answered(message.node) if whole else here.look_complete()
        elif own:
            # The broker refused it, and took it all the same, later than what followed.
            self._sender.tell_all(here)

    def _lost(self, here: PresenceRoom) -> None:
        here.table.interrupted()
        here.plan(self._clock.after(RECOVERY_DELAY, partial(self._recover, here)))

    def _recover(self, here: PresenceRoom) -> None:
        here.request(self._nodes.others)
        self._sender.tell_all(here)

    def _tell_of_member(self, here: PresenceRoom, member: Member, came: bool, *, quiet: bool = False) -> None:
        if quiet and came:
            return
        try:
            self._moved(here.name, member, came)
        except Exception:
            _logger.exception("room %s: a change of presence was not handled", here.name)

    def _tell(self, here: PresenceRoom, changes: list[Change], *, quiet: bool) -> None:
        for change in changes:
            tell = self._left if not change.joined else self._found if quiet else self._joined
            try:
                tell(here.name, change.present)
            except Exception:  # of one who is told: the others must hear all the same
                _logger.exception("room %s: a change of presence was not handled", here.name)


def _go_on(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
