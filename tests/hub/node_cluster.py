"""Several nodes in one event loop: links in memory that fail on demand, and a clock that is told the time."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from polling import turns

from hubbub.core.errors import BrokerError
from hubbub.core.nodes import read as read_control
from hubbub.core.presence import Present
from hubbub.core.presence_messages import make_member, read
from hubbub.core.timers import Timer, Timers
from hubbub.hub.nodes import NodeLoad, Nodes
from hubbub.hub.presence import Presence

TURNS = 12
"""Turns of the loop in which messages arrive and are answered."""


class FakeClock:
    """The hub's clock, with a time that only `Cluster.advance` changes."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.timers = Timers()

    def now(self) -> float:
        return self.cluster.time

    def at(self, due: float, action: Callable[[], None]) -> Timer:
        return self.timers.schedule(due, action)

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        return self.at(self.now() + seconds, action)


class Link:
    """One node's signals, in the order in which the cluster took them, each in a turn of its own."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.up = True  # what the broker says of the link
        self.failing: str | None = None  # "refuse", "take" (and say no), or "late": take it later
        self.refuses: Callable[[str, bytes], bool] = lambda room, data: False  # what it does not take
        self.deaf: set[str] = set()  # rooms that cannot be listened to
        self.awake = asyncio.Event()  # cleared while the whole process stands still
        self.awake.set()
        self.dead = False
        self.dropping: dict[str, int] = {}  # messages yet to be dropped, by room
        self.missing: set[str] = set()  # rooms with losses that were not reported
        self.listeners: dict[str, tuple[Callable[[bytes], None], Callable[[], None]]] = {}
        self.ignored: Callable[[str], None] = lambda room: None
        self.sent: list[tuple[str, bytes]] = []  # everything that was tried
        self._inbox: deque[tuple[str, bytes]] = deque()
        self._draining = False

    async def listen(self, room: str, heard: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        if self.failing or room in self.deaf:
            raise BrokerError("refused")
        assert room not in self.listeners, "listens twice"
        self.listeners[room] = (heard, lost)

    def ignore(self, room: str) -> None:
        del self.listeners[room]
        self.missing.discard(room)
        self.ignored(room)

    async def send(self, room: str, data: bytes) -> None:
        await asyncio.sleep(0)
        await self.awake.wait()
        if self.dead:
            return
        self.sent.append((room, data))
        if self.refuses(room, data):
            raise BrokerError("refused")
        if self.failing == "late":
            self.cluster.late.append((room, data))
        if self.failing != "refuse" and self.failing != "late":
            self.cluster.spread(room, data)
        if self.failing:
            raise BrokerError("refused")

    @property
    def frozen(self) -> bool:
        return not self.awake.is_set()

    def deliver(self, room: str, data: bytes) -> None:
        if room not in self.listeners:
            return
        if self.dropping.get(room) or not self.up:
            self.dropping[room] = max(0, self.dropping.get(room, 0) - 1)
            self.missing.add(room)
            return
        self.report(room)
        self._inbox.append((room, data))
        self.drain()

    def report(self, room: str) -> None:
        """Say that messages were lost, before the next one comes."""
        if room in self.missing:
            self.missing.remove(room)
            self._inbox.append((room, b""))
            self.drain()

    def drain(self) -> None:
        if not self._draining and not self.frozen and self._inbox:
            self._draining = True
            asyncio.get_running_loop().call_soon(self._hear)

    def _hear(self) -> None:
        self._draining = False
        if self.dead or self.frozen:
            return
        room, data = self._inbox.popleft()
        if room in self.listeners:
            heard, lost = self.listeners[room]
            heard(data) if data else lost()
        self.drain()


class ClusterNode:
    """One process: its members, and what it was told of everybody's."""

    def __init__(self, cluster: "Cluster") -> None:
        self.link = Link(cluster)
        self.clock = FakeClock(cluster)
        self.truth: dict[str, dict[str, str]] = defaultdict(dict)  # room: client: key
        self.seen: dict[str, set[str]] = defaultdict(set)  # room: keys of users
        self.events: list[tuple[str, str, str]] = []
        self.wrong: list[tuple[str, str, str]] = []  # events that contradict the ones before
        self.link.ignored = lambda room: self.seen.pop(room.removeprefix("#p:"), None)
        self.nodes = Nodes(
            self.link,
            self.clock,
            name="test",
            load=lambda: NodeLoad(sum(map(len, self.truth.values())), len(self.truth)),
            connected=lambda: self.link.up,
        )
        self.presence = Presence(
            self.link,
            self.nodes,
            self.clock,
            joined=lambda room, present: self.saw("joined", room, present),
            left=lambda room, present: self.saw("left", room, present),
            found=lambda room, present: self.saw("found", room, present),
        )

    @property
    def id(self) -> str:
        return self.nodes.id

    def saw(self, kind: str, room: str, present: Present) -> None:
        key = present.members[0].key
        event = (kind, room, key)
        self.events.append(event)
        if (key in self.seen[room]) is not (kind == "left"):
            self.wrong.append(event)
        (self.seen[room].discard if kind == "left" else self.seen[room].add)(key)

    def join(self, room: str, client: str, user: str | None = None, info: object = None) -> None:
        member = make_member(client, user, info)
        self.presence.join(room, member)
        self.truth[room][client] = member.key

    def leave(self, room: str, client: str) -> None:
        self.presence.leave(room, client)
        del self.truth[room][client]

    async def members(self, room: str) -> set[str]:
        return {present.members[0].key for present in await self.presence.members(room)}


class Cluster:
    """The nodes and their time."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.nodes: list[ClusterNode] = []
        self.late: list[tuple[str, bytes]] = []

    async def start(self) -> ClusterNode:
        node = ClusterNode(self)
        self.nodes.append(node)
        await node.nodes.start()
        await turns(TURNS)
        return node

    async def stop(self, node: ClusterNode) -> None:
        """Properly, with a goodbye."""
        self.nodes.remove(node)
        await node.presence.stop()
        await node.nodes.stop()
        node.link.dead = True
        await turns(TURNS)

    async def kill(self, node: ClusterNode) -> None:
        """Nothing of it is heard any more."""
        node.link.dead = True
        node.link.awake.set()
        await self.stop(node)

    def freeze(self, node: ClusterNode) -> None:
        node.link.awake.clear()

    def thaw(self, node: ClusterNode) -> None:
        node.link.awake.set()
        node.link.drain()

    def spread(self, room: str, data: bytes) -> None:
        for node in self.nodes:
            node.link.deliver(room, data)

    def deliver_late(self) -> None:
        """The broker takes what it had refused."""
        late, self.late = self.late, []
        for room, data in late:
            self.spread(room, data)

    async def advance(self, seconds: float) -> None:
        """Let the time pass: every deadline on the way has its effect before the next one."""
        await turns(TURNS)  # what was begun before begins before the time passes
        end = self.time + seconds
        while True:
            awake = [node.clock.timers for node in self.nodes if not node.link.frozen]
            due = min((timers.next_due for timers in awake if timers.next_due is not None), default=end)
            self.time = max(self.time, min(due, end))
            ready = [action for timers in awake for action in timers.advance(self.time)]
            for action in ready:
                action()
            await turns(TURNS)
            if not ready and self.time >= end:
                return

    def truth(self, room: str) -> set[str]:
        """Who is in the room."""
        return {key for node in self.nodes for key in node.truth[room].values()}


@contextmanager
def failing(node: ClusterNode, how: str = "refuse") -> Iterator[None]:
    """The broker takes nothing from this node."""
    node.link.failing = how
    yield
    node.link.failing = None


async def cluster_of(count: int) -> tuple[Cluster, list[ClusterNode]]:
    cluster = Cluster()
    return cluster, [await cluster.start() for _ in range(count)]


def said(node: ClusterNode, room: str = "r", kind: type = object) -> list[object]:
    """What the node has tried to say in the room."""
    messages = [read(data) for name, data in node.link.sent if name == f"#p:{room}"]
    return [message for message in messages if isinstance(message, kind)]


def refuse_once(node: ClusterNode, kind: type) -> None:
    """The broker does not take the node's next message of this kind."""

    def refuses(room: str, data: bytes) -> bool:
        refused = isinstance(read_control(data) if room == "#nodes" else read(data), kind)
        if refused:
            node.link.refuses = lambda room, data: False
        return refused

    node.link.refuses = refuses
