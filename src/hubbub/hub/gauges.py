"""The figures of a hub, taken at one moment from those who know them."""

import time

from hubbub.asgi.frames import DESCRIPTOR_CODEC
from hubbub.brokers import Broker
from hubbub.connection import Connection
from hubbub.core.figures import Distribution, Figures, RoomFigures
from hubbub.core.rooms import Room, Rooms
from hubbub.core.stats import Histogram, Stats
from hubbub.hub.connections import EVERYONE, Connections
from hubbub.hub.loop_lag import LoopLag


class Gauges:
    """Reads what there is to see of a hub. A look goes once through the connections that may be behind.

    Args:
        stats: what was counted.
        rooms: who is in which room.
        connections: those of this process.
        broker: the hub's.
    """

    __slots__ = ("_broker", "_connections", "_rooms", "_stats", "lag")

    def __init__(
        self, stats: Stats, rooms: Rooms[Connection], connections: Connections, broker: Broker
    ) -> None:
        self._stats = stats
        self._rooms = rooms
        self._connections = connections
        self._broker = broker
        self.lag: LoopLag | None = None
        """Of the loop that the hub runs on; None while it does not run."""

    def figures(self) -> Figures:
        """Those of the hub."""
        stats, rooms, lag = self._stats, self._rooms, self.lag
        queued = self._queued()
        everyone = rooms.count(EVERYONE)
        return Figures(
            time=time.time(),
            connections=len(self._connections),
            rooms=len(rooms) - (1 if everyone else 0),
            members=rooms.members - everyone,
            opened=stats.opened,
            closed=dict(stats.closed),
            messages_in=stats.received.messages,
            bytes_in=stats.received.bytes,
            publications=stats.published,
            deliveries=stats.delivered,
            messages_out=stats.delivered + stats.sent.messages,
            bytes_out=stats.delivered_bytes + stats.sent.bytes,
            queued_bytes=queued,
            queued_most=stats.queued_most,
            dropped=stats.dropped,
            slow=stats.slow,
            dead=stats.dead,
            refused={reason.value: count for reason, count in stats.refused.items()},
            broker_connected=lag is not None and self._broker.connected,
            broker_errors=stats.broker_errors,
            repaired=self._broker.repaired,
            interrupted=stats.interrupted,
            publishing=_distribution(stats.publishing),
            hooks=dict(stats.hooks),
            hook_times=_distribution(stats.hook_times),
            loop_lag=lag.last if lag is not None else 0.0,
            loop_lag_most=lag.most if lag is not None else 0.0,
        )

    def _queued(self) -> int:
        """Bytes that wait now; keeps the most that waits for one of those that are behind."""
        queued = 0
        room = self._rooms.get(EVERYONE)
        for (_, codec), group in room.groups.items() if room is not None else ():
            if codec == DESCRIPTOR_CODEC:
                continue  # nothing waits for a client whose socket may be written to, and most are such
            for connection in group.members:
                transport = connection.transport
                waiting = transport.buffered
                if waiting:
                    queued += waiting
                    self._stats.queued_most = max(self._stats.queued_most, transport.queued_most)
        return queued

    def of_room(self, name: str) -> RoomFigures | None:
        """Those of a room; None if nobody is in it."""
        room = self._rooms.get(name)
        return None if room is None else _of_room(room)

    def of_rooms(self) -> list[RoomFigures]:
        """Those of all rooms that have members here."""
        return [_of_room(room) for room in self._rooms if room.name != EVERYONE]


def _of_room(room: Room[Connection]) -> RoomFigures:
    return RoomFigures(
        name=room.name,
        members=room.count,
        publications=room.published,
        deliveries=room.delivered,
        bytes_out=room.bytes,
    )


def _distribution(histogram: Histogram) -> Distribution:
    *counts, longer = histogram.counts
    return Distribution(tuple(zip(histogram.bounds, counts, strict=True)), longer, histogram.sum)
