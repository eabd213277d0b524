"""The figures of all nodes, once a second while somebody looks at the admin page of any of them.

They go through a room of the hubs' own, which no client can join. Whoever looks renews a lease on every
node; a node whose lease has run out measures nothing and says nothing.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from hubbub.core import signal_codec
from hubbub.core.errors import BrokerError
from hubbub.hub.background import Background
from hubbub.hub.parts import Parts
from hubbub.server.admin.broker_probe import ROOM
from hubbub.server.admin.snapshots import Snapshot, read_snapshot

INTERVAL: Final = 1.0
"""Seconds between a node's snapshots."""

LEASE: Final = 6.0
"""Seconds for which a node goes on after it heard that somebody looks."""

RENEWAL: Final = 2.0
"""Seconds between the renewals."""

KEPT: Final = 300
"""Snapshots of each node that are kept for whoever comes next, while somebody looks."""

_LOOKING: Final = "admin looks"
"""The kind of the command that renews leases."""

_logger = logging.getLogger("hubbub")


class Feed:
    """This node's part in it: measures when asked to, and asks while it has somebody who looks.

    Args:
        parts: of the running hub.
        measure: takes a snapshot of this node.
        heard: called with each snapshot of any node while somebody here looks.
    """

    def __init__(
        self, parts: Parts, measure: Callable[[], Awaitable[Snapshot]], heard: Callable[[Snapshot], None]
    ) -> None:
        self._parts = parts
        self._measure = measure
        self._heard = heard
        self._background = Background("admin feed")
        self._until = 0.0  # the lease's end
        self._telling = False  # whether a task does it
        self._asking = False  # the same
        self._listening = False
        self._looking = False
        self._recent: dict[str, deque[Snapshot]] = {}
        parts.nodes.handle(_LOOKING, lambda node, data: self._renew())

    @property
    def recent(self) -> list[Snapshot]:
        """What was heard while somebody looked, the oldest of each node first."""
        return [one for snapshots in self._recent.values() for one in snapshots]

    def look(self, looking: bool) -> None:
        """Whether somebody here looks from now on."""
        self._looking = looking
        if looking and not self._asking:
            self._asking = True
            self._background.run(self._ask())

    async def stop(self) -> None:
        """Neither ask nor measure any more."""
        await self._background.stop()
        if self._listening:
            self._parts.signals.ignore(ROOM)
            self._listening = False

    # Asking

    async def _ask(self) -> None:
        """Renew the leases as long as somebody looks, and a little longer: a page may just be loaded anew."""
        idle = 0.0
        try:
            while self._looking or idle < LEASE:
                idle = 0.0 if self._looking else idle + RENEWAL
                self._renew()  # of this node also while the broker is away
                try:
                    if not self._listening:
                        await self._parts.signals.listen(ROOM, self._take, _nothing)
                        self._listening = True
                    if self._looking:
                        await self._parts.nodes.command(_LOOKING, b"")
                except BrokerError as error:
                    _logger.debug("the other nodes are not asked for their figures: %s", error)
                await asyncio.sleep(RENEWAL)
        finally:
            self._asking = False
            self._recent.clear()
            if self._listening:
                self._parts.signals.ignore(ROOM)
                self._listening = False

    def _take(self, data: bytes) -> None:
        snapshot = read_snapshot(data)
        if snapshot is not None and snapshot.node != self._parts.nodes.id:
            self._note(snapshot)

    def _note(self, snapshot: Snapshot) -> None:
        if not self._asking:
            return
        living = {self._parts.nodes.id, *self._parts.nodes.others, snapshot.node}
        for gone in self._recent.keys() - living:
            del self._recent[gone]
        self._recent.setdefault(snapshot.node, deque(maxlen=KEPT)).append(snapshot)
        self._heard(snapshot)

    # Measuring

    def _renew(self) -> None:
        self._until = self._parts.clock.now() + LEASE
        if not self._telling:
            self._telling = True
            self._background.run(self._tell())

    async def _tell(self) -> None:
        """Measure until the lease ends. What is to be told here comes directly, the broker may be away."""
        try:
            due = self._parts.clock.now()
            while due < self._until:
                snapshot = await self._measure()
                self._note(snapshot)
                if self._parts.nodes.others:
                    await self._send(snapshot)
                due = max(due + INTERVAL, self._parts.clock.now())
                await asyncio.sleep(due - self._parts.clock.now())
        finally:
            self._telling = False

    async def _send(self, snapshot: Snapshot) -> None:
        try:
            await self._parts.signals.send(ROOM, signal_codec.encode(snapshot))
        except BrokerError as error:
            _logger.debug("the figures are not told to the other nodes: %s", error)


def _nothing() -> None:
    """The next snapshot comes in a second."""
