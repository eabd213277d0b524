"""The connections of this process, and what they tell their hub."""

import logging
import time

from hubbub.connection import Connection, Joined
from hubbub.core.endings import Ending
from hubbub.core.errors import HubNotRunning
from hubbub.core.heartbeat import Heartbeat
from hubbub.core.log_fields import LogFields, cut
from hubbub.core.positions import Position
from hubbub.core.rooms import Rooms
from hubbub.core.stats import RefusalReason, Stats, Tally
from hubbub.hub.clock import Clock
from hubbub.hub.evictions import Evictions
from hubbub.hub.fanout import Fanout
from hubbub.hub.memberships import Memberships
from hubbub.hub.reception import Reception

EVERYONE = "*"
"""The room of all connections. No room of a user's can have that name."""

TOO_MANY_MESSAGES = '{"type":"error","msg":"Too many messages"}'
"""What a client is told that sends more than it may."""

_logger = logging.getLogger("hubbub")
_ends = logging.getLogger("hubbub.connections")


class Connections:
    """The registry of connections, which is the `Host` of each of them.

    Args:
        rooms: who is in which room.
        members: how they come in and leave.
        fanout: what waits to be written.
        stats: counts what happens to connections.
        heartbeat: its times.
    """

    __slots__ = (
        "_by_id",
        "_by_user",
        "_clock",
        "_fanout",
        "_members",
        "_reception",
        "_rooms",
        "evictions",
        "heartbeat",
        "stats",
    )

    def __init__(
        self,
        rooms: Rooms[Connection],
        members: Memberships,
        fanout: Fanout,
        stats: Stats,
        heartbeat: Heartbeat,
    ) -> None:
        self._rooms = rooms
        self._members = members
        self._fanout = fanout
        self.stats = stats
        self.heartbeat = heartbeat
        self.evictions = Evictions()
        self._by_id: dict[str, Connection] = {}
        self._by_user: dict[str, dict[str, Connection]] = {}
        self._clock: Clock | None = None  # None while the hub is not running
        self._reception: Reception | None = None  # None while the hub is not running

    def __len__(self) -> int:
        return len(self._by_id)

    def open(self, clock: Clock, reception: Reception) -> None:
        """The hub runs from now on."""
        self._clock, self._reception = clock, reception

    def shut(self) -> None:
        """The hub runs no longer."""
        self._clock = self._reception = None

    @property
    def all(self) -> list[Connection]:
        """All of them, in the order they came."""
        return list(self._by_id.values())

    def get(self, id: str) -> Connection | None:
        """The connection with that id."""
        return self._by_id.get(id)

    def of_user(self, user: str) -> list[Connection]:
        """Those of one user."""
        return list(self._by_user.get(user, {}).values())

    def add(self, member: Connection) -> None:
        """A connection has come. Raises `HubNotRunning` if the hub has gone meanwhile."""
        if self._clock is None:
            raise HubNotRunning
        self._by_id[member.id] = member
        if member.user is not None:
            self._by_user.setdefault(member.user.id, {})[member.id] = member
        self._fanout.flush_room(EVERYONE)
        self._rooms.join(EVERYONE, member, member.format)
        self.stats.opened += 1

    # What connections tell: `Host`

    def now(self) -> float:
        """The loop's time, in seconds. Raises `HubNotRunning`."""
        if self._clock is None:
            raise HubNotRunning
        return self._clock.now()

    async def join(self, room: str, member: Connection, *, since: Position | None = None) -> Joined:
        """Make the connection a member of the room."""
        if member.delegate is not None:
            return await member.delegate.join(room, since)
        return await self._members.join(room, member, since)

    def leave(self, room: str, member: Connection) -> None:
        """Take the connection out of the room."""
        if member.delegate is not None:
            member.delegate.leave(room)
        elif room != EVERYONE:
            self._members.leave(room, member)

    def rooms_of(self, member: Connection) -> list[str]:
        """The names of the connection's rooms, in the order it joined them."""
        return [room.name for room in self._rooms.of(member) if room.name != EVERYONE]

    def uncredited(self, member: Connection) -> Tally:
        """What the connection got in the rooms that it is in now."""
        total = Tally()
        for room in self._rooms.of(member):
            messages, size = room.credit(member)
            total.messages += messages
            total.bytes += size
        return total

    def flush(self) -> None:
        """Write what was published in this turn of the event loop."""
        self._fanout.flush()

    def release(self, member: Connection) -> None:
        """The hub's user wants no more of it. The client of another protocol cannot go on without the hub."""
        self.flush()
        if member.delegate is not None and not member.closed:
            member.end(*member.endings.unwanted)
        self.forget(member)

    def forget(self, member: Connection) -> None:
        """The connection has ended, or is no longer ours: it leaves all rooms at once."""
        if member.place is not None:
            member.place.leave()
        if self._by_id.pop(member.id, None) is None:
            return
        if member.user is not None:
            siblings = self._by_user.get(member.user.id, {})
            siblings.pop(member.id, None)
            if not siblings:
                self._by_user.pop(member.user.id, None)
        self._rooms.leave(EVERYONE, member)
        self._members.forget(member)
        ending = member.closed
        self.stats.close(None if ending is None else ending.code)
        self.stats.queued_most = max(self.stats.queued_most, member.transport.queued_most)
        if _ends.isEnabledFor(logging.INFO):
            _ends.info("connection closed: %s", _last_line(member))

    def regroup(self, member: Connection) -> None:
        """The connection is written to in another way from now on."""
        self._rooms.regroup(member)

    def slow(self, member: Connection) -> None:
        """The connection does not read fast enough: it is closed 1013, and what waited for it is given up."""
        self.stats.slow += 1
        _logger.info("closing %s: too slow, %d bytes waiting", member.id, member.transport.buffered)
        self._shut(member, member.endings.slow)

    def dead(self, member: Connection) -> None:
        """The connection did not answer the heartbeat."""
        self.stats.dead += 1
        self._shut(member, member.endings.silent)

    def dropped(self, count: int) -> None:
        """So many publications were dropped by their room's policy."""
        self.stats.dropped += count

    def within_rate(self, member: Connection) -> bool:
        """Whether the connection may say one more thing. If not it is told so, and after some more closed."""
        meter, now = member.meter, self.now()
        if meter is None or meter.message(now):
            return True
        self.stats.refuse(RefusalReason.RATE)
        if not member.closed and member not in self.evictions:
            member.deliver(TOO_MANY_MESSAGES)
            if not meter.strike(now):
                _logger.info("closing %s: too many messages", member.id)
                self.evictions.add(member, lambda: member.end(*member.endings.flooding))
        return False

    def _shut(self, member: Connection, ending: Ending) -> None:
        if self._reception is not None:
            self._reception.shut(member, *ending)


def _last_line(member: Connection) -> LogFields:
    """What the log says of a connection that has ended: its figures, nothing of what was said on it."""
    figures, ending = member.figures, member.closed
    return LogFields(
        id=member.id,
        user=cut(member.user.id) if member.user is not None else None,
        address=member.address,
        transport=member.via,
        code=None if ending is None else int(ending.code),
        reason=None if ending is None else cut(ending.reason),
        seconds=round(max(0.0, time.time() - figures.opened_at), 3),
        messages_in=figures.messages_in,
        bytes_in=figures.bytes_in,
        messages_out=figures.messages_out,
        bytes_out=figures.bytes_out,
        queued_most=figures.queued_most,
    )
