"""Looking into connections from any node: who looks renews a lease, and their node tells what it saw."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec

from hubbub.connection import Connection
from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError
from hubbub.core.signal_codec import Id
from hubbub.hub.background import Background
from hubbub.hub.parts import Parts
from hubbub.server.admin.broker_probe import ROOM
from hubbub.server.admin.frames import Frame, Tap

INTERVAL: Final = 0.25
"""Seconds between collections."""

LEASE: Final = 6.0
"""Seconds for which a connection is looked into after somebody asked for it."""

RENEWAL: Final = 2.0
"""Seconds between the renewals."""

MAX_TAPS: Final = 16
"""Connections of one node that are looked into at the same time."""

_KIND: Final = "admin looks into"
_MAX_BYTES: Final = 1_048_576
_logger = logging.getLogger("hubbub")


class Seen(msgspec.Struct, frozen=True):
    """Messages of a connection, as they go from its node to those who look."""

    connection: Id
    frames: list[Frame]
    omitted: int
    """How many more there were."""

    ended: bool
    """Whether the connection has ended."""


class _Lease(msgspec.Struct):
    """Which nodes look into one connection of this node, and until when."""

    tap: Tap
    until: dict[str, float]


_seen: Final = msgspec.msgpack.Decoder(Seen)


class Taps:
    """This node's part in it.

    Args:
        parts: of the running hub.
        tell: called with what was seen and the pages that look.
    """

    def __init__(self, parts: Parts, tell: Callable[[Seen, list[Connection]], None]) -> None:
        self._parts = parts
        self._tell = tell
        self._leases: dict[str, _Lease] = {}  # of connections of this node
        self._viewers: dict[Connection, str] = {}  # page -> the connection that it looks into
        self._background = Background("admin taps")
        self._collecting = self._renewing = self._listening = False  # whether a task does it
        parts.nodes.handle(_KIND, self._asked)

    async def stop(self) -> None:
        """Look into nothing any more."""
        await self._background.stop()
        for id in list(self._leases):
            self._end(id)
        self._ignore()

    # Asking

    def look(self, viewer: Connection, connection: str | None) -> None:
        """A page looks into a connection from now on, and into no other; None for none at all."""
        self._viewers.pop(viewer, None)
        if connection is not None:
            self._viewers[viewer] = connection
            self._background.run(self._ask(connection))
            if not self._renewing:
                self._renewing = True
                self._background.run(self._renew())

    async def _renew(self) -> None:
        try:
            while self._viewers:
                await asyncio.sleep(RENEWAL)
                for connection in set(self._viewers.values()):
                    await self._ask(connection)
        finally:
            self._renewing = False
            self._ignore()

    async def _ask(self, connection: str) -> None:
        own = self._parts.nodes.id
        if self._parts.connections.get(connection) is not None:
            self._asked(own, connection.encode())
            return
        try:
            if not self._listening:
                await self._parts.signals.listen(_room(own), self._heard, _nothing)
                self._listening = True
            await self._parts.nodes.command(_KIND, connection.encode())
        except BrokerError as error:
            _logger.debug("the other nodes are not asked for messages: %s", error)

    def _heard(self, data: bytes) -> None:
        seen = signal_codec.decode(data, _seen, _MAX_BYTES)
        if seen is not None:
            self._show(seen)

    def _show(self, seen: Seen) -> None:
        viewers = [viewer for viewer, id in self._viewers.items() if id == seen.connection]
        if viewers:
            self._tell(seen, viewers)

    def _ignore(self) -> None:
        if self._listening:
            self._parts.signals.ignore(_room(self._parts.nodes.id))
            self._listening = False

    # Looking

    def _asked(self, node: str, data: bytes) -> None:
        id = data.decode(errors="replace")
        connection = self._parts.connections.get(id)
        lease = self._leases.get(id)
        if lease is None:
            if connection is None or len(self._leases) >= MAX_TAPS:
                return
            tap = Tap(connection, self._parts.connections.regroup)
            lease = self._leases[id] = _Lease(tap, {})
        lease.until[node] = self._parts.clock.now() + LEASE
        if not self._collecting:
            self._collecting = True
            self._background.run(self._collect())

    async def _collect(self) -> None:
        try:
            while self._leases:
                await asyncio.sleep(INTERVAL)
                now = self._parts.clock.now()
                for id, lease in list(self._leases.items()):
                    lease.until = {node: until for node, until in lease.until.items() if until > now}
                    frames, omitted = lease.tap.take()
                    seen = Seen(id, frames, omitted, lease.tap.ended)
                    if frames or omitted or seen.ended:
                        await self._send(seen, list(lease.until))
                    if seen.ended or not lease.until:
                        self._end(id)
        finally:
            self._collecting = False

    def _end(self, id: str) -> None:
        self._leases.pop(id).tap.remove()

    async def _send(self, seen: Seen, nodes: list[str]) -> None:
        for node in nodes:
            if node == self._parts.nodes.id:
                self._show(seen)
                continue
            try:
                await self._parts.signals.send(_room(node), signal_codec.encode(seen))
            except BrokerError as error:
                _logger.debug("messages are not told to node %s: %s", node, error)


def _room(node: str) -> str:
    return f"{ROOM}:{node}"


def _nothing() -> None:
    """What was lost is not shown."""
