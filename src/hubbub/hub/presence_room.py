"""What a node knows of a room with presence, and what it still has to say there."""

import asyncio
from dataclasses import dataclass, field

from hubbub.core.local_members import LocalMembers
from hubbub.core.presence import PresenceTable
from hubbub.core.timers import Timer


@dataclass(slots=True, eq=False)
class PresenceRoom:
    """One room that this node is interested in."""

    name: str
    node: str
    """This node's id."""

    table: PresenceTable = field(default_factory=PresenceTable)
    local: LocalMembers = field(default_factory=LocalMembers)

    forgotten: bool = False
    """It is of no interest any more. A timer that was due at the same time may still find it."""

    listening: bool = False
    sync: bool = False
    """Those who listen are yet to be told that this node does, too."""

    ask: bool = False
    """The nodes in `awaited` are yet to be asked."""

    awaited: set[str] = field(default_factory=set)
    """Nodes whose members are not known for sure until they send a snapshot."""

    asked: int = 0
    """How often these were asked."""

    settled: bool = False
    """Members that another node tells of from now on have come, and were not there before."""

    sending: bool = False
    """A task says what there is to say."""

    waiters: set[asyncio.Future[None]] = field(default_factory=set)
    """Those who wait until everybody is known."""

    _plan: Timer | None = None

    @property
    def unsaid(self) -> bool:
        """Whether there is something to do at the broker."""
        return not self.forgotten and (not self.listening or self.local.untold or self.sync or self.ask)

    @property
    def busy(self) -> bool:
        """Whether the room must not be forgotten now."""
        return self.sending or bool(self.waiters) or len(self.local) > 0 or self.local.untold

    @property
    def complete(self) -> bool:
        """Whether all members of all nodes are known, and those of this node have been announced."""
        return self.listening and self.settled and self.table.clients(self.node) == self.local.clients

    def request(self, nodes: list[str]) -> None:
        """Have these nodes asked who is there."""
        self.awaited = set(nodes)
        self.ask = bool(nodes)
        self.asked = 0

    def answered(self, node: str) -> None:
        """A node has said who is there, or is gone."""
        if node in self.awaited:
            self.awaited.remove(node)
            if not self.awaited:
                self.ask = False
                self.plan(None)
                self.settled = True
        self.look_complete()

    def settle(self) -> None:
        """Wait for nobody any more."""
        self.settled = True
        self.look_complete()

    def look_complete(self) -> None:
        """Let those who wait go on, if everybody is known."""
        if self.waiters and self.complete:
            self.wake()

    def wake(self) -> None:
        """Let those who wait go on."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def plan(self, timer: Timer | None) -> None:
        """Put a repair in the place of the one that was planned."""
        if self._plan is not None:
            self._plan.cancel()
        self._plan = timer
