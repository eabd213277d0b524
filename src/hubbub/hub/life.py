"""What there is of a hub only while it runs: its clock, its reception, its place among the nodes."""

import asyncio
from contextlib import AsyncExitStack

from hubbub import redaction
from hubbub.brokers import Broker
from hubbub.core.gate import Gate
from hubbub.core.heartbeat import Heartbeat
from hubbub.core.limits import Limits
from hubbub.core.origins import Origins
from hubbub.core.protection import Protection
from hubbub.hub.clock import Clock
from hubbub.hub.cluster import Cluster
from hubbub.hub.connections import EVERYONE, Connections
from hubbub.hub.erasing import Erasing
from hubbub.hub.following import Following
from hubbub.hub.loop_lag import LoopLag
from hubbub.hub.memberships import Memberships
from hubbub.hub.observers import Observers
from hubbub.hub.parts import Companion, Parts, Publish
from hubbub.hub.reception import Reception
from hubbub.hub.signals import Signals
from hubbub.hub.watch import Watch
from hubbub.hub.workers import warn_of_others


class Life:
    """One run of a hub, from the start of its lifespan to the end.

    Args:
        broker: started and stopped here.
        following: the subscriptions at the broker.
        signals: what the hubs of all nodes tell each other.
        members: who is in which room here.
        connections: those of this process.
        observers: are told who comes and goes.
        heartbeat: for connections that take part in it.
        limits: for connections.
        origins: the pages that may connect.
        protection: rates and caps; None for none.
    """

    def __init__(
        self,
        broker: Broker,
        following: Following,
        signals: Signals,
        members: Memberships,
        connections: Connections,
        observers: Observers,
        *,
        heartbeat: Heartbeat,
        limits: Limits,
        origins: Origins,
        protection: Protection | None,
    ) -> None:
        self._broker = broker
        self._following = following
        self._signals = signals
        self._members = members
        self._connections = connections
        self._observers = observers
        self._companions: list[Companion] = []  # that have begun
        self._parts: Parts | None = None  # made when they are first asked for
        self._redactor = redaction.RedactTokens()
        self.loop = asyncio.get_running_loop()
        self.clock = Clock()
        self.lag = LoopLag(self.clock)
        gate = Gate(protection, limits.rooms_per_connection) if protection is not None else None
        watch = Watch(self.clock, heartbeat, limits, connections.dead, connections.slow)
        self.reception = Reception(
            connections, self.clock, watch, limits, origins, gate, connections.evictions
        )
        self.cluster = Cluster(
            signals,
            connections,
            self.clock,
            connected=lambda: broker.connected,
            rooms=lambda: len(following),
            joined=observers.joined,
            left=observers.left,
            moved=observers.moved,
        )
        self.erasing = Erasing(broker, self.cluster.own, members)

    def parts(self, publish: Publish) -> Parts:
        """What companions and gateways work with."""
        if self._parts is None:
            self._parts = Parts(
                self._connections,
                self._members,
                self.reception,
                self.clock,
                publish,
                self._broker,
                self._following,
                self._signals,
                self.cluster.own,
            )
        return self._parts

    async def begin(self, companions: list[Companion], parts: Parts) -> None:
        """Start the broker, and take part in the cluster. Raises `BrokerError` if it does not answer."""
        redaction.install(self._redactor)
        self._connections.open(self.clock, self.reception)
        self._members.presence = self.cluster
        try:
            if not self._broker.shared:
                warn_of_others()
            await self._broker.start(self._members)
            await self._following.follow(EVERYONE)
            for companion in companions:
                await companion.begin(parts)
                self._companions.append(companion)
            await self.cluster.start()
            self.lag.start()
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Close all connections, say goodbye to the other nodes, and stop the broker.

        Each step is taken whether or not those before it failed, or were cancelled.
        """
        async with AsyncExitStack() as last_things:
            last_things.callback(self._halt)
            last_things.push_async_callback(self._broker.stop)
            last_things.push_async_callback(self._observers.stop)
            last_things.push_async_callback(self.cluster.stop)
            last_things.push_async_callback(self._dismiss_companions)
            self._members.listeners.end()
            await self.reception.dismiss(self._connections.all)

    async def _dismiss_companions(self) -> None:
        async with AsyncExitStack() as last_things:
            while self._companions:
                last_things.push_async_callback(self._companions.pop(0).end)

    def _halt(self) -> None:
        for connection in self._connections.all:  # whose handshake ended while all others were closed
            connection.transport.close(*connection.endings.stopping)
            connection.transport.abort()
        self._members.listeners.end()  # who began to listen while the rest was ending
        self.clock.stop()
        self._members.presence = None
        self._connections.shut()
        self._following.clear()
        redaction.uninstall(self._redactor)
