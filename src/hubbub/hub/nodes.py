"""The nodes of a cluster: they announce themselves, and send each other commands, in one room."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol, TypeAlias

from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError, MessageTooBig
from hubbub.core.nodes import (
    INTERVAL,
    MAX_COMMAND_BYTES,
    Alive,
    Command,
    Contact,
    Goodbye,
    Node,
    NodeTable,
    read,
)
from hubbub.core.timers import Timer
from hubbub.hub.background import Background
from hubbub.hub.clock import Clock
from hubbub.hub.signals import Signals

CONTROL_ROOM: Final = "#nodes"

LOOK_INTERVAL: Final = 1.0
"""Seconds between looks at the leases: a node is found lost that much later at most."""

GOODBYE_TIMEOUT: Final = 1.0
"""Seconds that a stopping node tries to say goodbye. If it fails, its lease runs out."""

_logger = logging.getLogger("hubbub")

Handler: TypeAlias = Callable[[str, bytes], None]
"""Called with the id of the node that sends the command, and the payload. Does not wait."""


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """How much there is on a node: it says so with every announcement."""

    connections: int
    rooms: int


class NodeObserver(Protocol):
    """Who wants to know of nodes. The methods do not wait."""

    def node_came(self, node: str) -> None:
        """A node is heard that was not known, or had been lost."""
        ...

    def node_left(self, node: str) -> None:
        """A node has said goodbye, or its lease has run out."""
        ...

    def commands_lost(self) -> None:
        """Commands from other nodes may have been lost."""
        ...


class Nodes:
    """This node among the others.

    Args:
        signals: carries the messages.
        clock: the hub's.
        name: what people call this node, like its host's name and process id.
        load: what to announce.
        connected: whether the link to the broker is up, as far as the broker knows.
    """

    def __init__(
        self,
        signals: Signals,
        clock: Clock,
        *,
        name: str,
        load: Callable[[], NodeLoad],
        connected: Callable[[], bool],
    ) -> None:
        self.id = secrets.token_urlsafe(12)
        """This node's id; every start of a hub has another."""

        self._signals = signals
        self._clock = clock
        self._name = name[: signal_codec.MAX_ID]
        self._started = time.time()
        self._load = load
        self._connected = connected
        self._table = NodeTable(self.id)
        self._sequence = count(1)
        self._handlers: dict[str, Handler] = {}
        self._observers: list[NodeObserver] = []
        self._background = Background("nodes")
        self._look: Timer | None = None  # None while stopped
        self._listening = False
        self._announcing = False  # whether a task does it
        self._announce_at = 0.0

    # Life

    async def start(self) -> None:
        """Begin to announce this node, and hear the others. While the broker is away it is tried again."""
        self._announce_at = self._clock.now() + INTERVAL
        self._look = self._clock.after(LOOK_INTERVAL, self._look_around)
        self._announcing = True
        await self._announce()

    async def stop(self) -> None:
        """Say goodbye."""
        if self._look is None:
            return
        self._look.cancel()
        self._look = None
        await self._background.stop()
        try:
            async with asyncio.timeout(GOODBYE_TIMEOUT):
                await self._signals.send(CONTROL_ROOM, signal_codec.encode(Goodbye(self.id)))
        except (BrokerError, TimeoutError) as error:
            _logger.info("no goodbye to the other nodes: %s", error)
        if self._listening:
            self._signals.ignore(CONTROL_ROOM)
            self._listening = False

    # What others ask

    def nodes(self) -> list[Node]:
        """All nodes that live, this one first."""
        load = self._load()
        own = Node(self.id, self._name, self._started, load.connections, load.rooms)
        return [own, *self._table.nodes()]

    @property
    def others(self) -> list[str]:
        """The ids of the other nodes that live."""
        return self._table.ids

    @property
    def connected(self) -> bool:
        """Whether the link to the broker is up, as far as the broker knows."""
        return self._connected()

    def watch(self, observer: NodeObserver) -> None:
        """Tell the observer of nodes that come and go."""
        self._observers.append(observer)

    def seen(self, node: str) -> bool:
        """Something was heard of a node elsewhere; False if the node is to be ignored."""
        contact = self._table.seen(node, self._clock.now())
        if contact is Contact.NEW:
            self._came(node)
        return contact is not Contact.IGNORED

    # Commands

    def handle(self, kind: str, handler: Handler) -> None:
        """Have the handler called for commands of this kind; those of a kind without handler are ignored."""
        self._handlers[kind] = handler

    async def command(self, kind: str, payload: bytes, *, to: str | None = None) -> None:
        """Send a command.

        Args:
            kind: at most 64 characters.
            payload: at most 1 MiB.
            to: the id of a node; None for all, this one too.

        Raises:
            MessageTooBig: if the payload is larger.
            BrokerError: if the broker did not take it.
        """
        if len(payload) > MAX_COMMAND_BYTES:
            raise MessageTooBig(f"A command to other nodes takes {MAX_COMMAND_BYTES:,} bytes at most")
        await self._signals.send(CONTROL_ROOM, signal_codec.encode(Command(self.id, kind, payload, to)))

    # Announcing

    def _look_around(self) -> None:
        now = self._clock.now()
        self._look = self._clock.at(now + LOOK_INTERVAL, self._look_around)
        if not self._connected():
            self._table.link_down()
        for node in self._table.expire(now):
            _logger.warning("node %s is lost: it was not heard for too long", node)
            self._left(node)
        if now >= self._announce_at:
            self._announce_soon()

    def _announce_soon(self) -> None:
        now = self._clock.now()
        if self._announcing:
            self._announce_at = now  # at the next look: whoever wants to hear it may have missed this one
        elif self._look is not None:
            self._announce_at = now + INTERVAL
            self._announcing = True
            self._background.run(self._announce())

    async def _announce(self) -> None:
        try:
            if not self._listening:
                await self._signals.listen(CONTROL_ROOM, self._heard, self._lost)
                self._listening = True
            await self._signals.send(CONTROL_ROOM, signal_codec.encode(self._alive()))
        except BrokerError as error:
            _logger.debug("not announced to the other nodes: %s", error)
        finally:
            self._announcing = False

    def _alive(self) -> Alive:
        load = self._load()
        return Alive(self.id, next(self._sequence), self._name, self._started, load.connections, load.rooms)

    # Hearing

    def _heard(self, data: bytes) -> None:
        match read(data):
            case Alive() as alive:
                if self._table.heard(alive, self._clock.now()) is Contact.NEW:
                    self._came(alive.node)
                    self._announce_soon()  # so that it knows this one, too
            case Goodbye(node):
                if self._table.departed(node):
                    self._left(node)
            case Command() as command if self.seen(command.node) and command.to in (None, self.id):
                self._obey(command)

    def _obey(self, command: Command) -> None:
        handler = self._handlers.get(command.kind)
        if handler is None:
            return
        try:
            handler(command.node, command.payload)
        except Exception:  # what one handler does must not keep the other messages from being heard
            _logger.exception("the command %s failed", command.kind)

    def _lost(self) -> None:
        for observer in self._observers:
            observer.commands_lost()

    def _came(self, node: str) -> None:
        for observer in self._observers:
            observer.node_came(node)

    def _left(self, node: str) -> None:
        for observer in self._observers:
            observer.node_left(node)
