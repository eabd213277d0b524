"""Who is in which room here: how members come in, with what they missed, and how they leave."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from hubbub.connection import Connection, Joined
from hubbub.core.errors import HistoryGone, LimitReached
from hubbub.core.formats import Format
from hubbub.core.limits import Limits
from hubbub.core.messages import Publication
from hubbub.core.options import RoomOptions
from hubbub.core.outbox import Outgoing
from hubbub.core.positions import Position
from hubbub.core.rooms import Rooms
from hubbub.core.stats import Stats
from hubbub.hub.fanout import Fanout
from hubbub.hub.following import Following
from hubbub.hub.listening import Listeners
from hubbub.hub.signals import Signals

PAGE = 256
"""Publications read at once for a member that missed some."""


class PresenceKeeper(Protocol):
    """Who wants to know of the members of rooms with presence."""

    def came(self, room: str, member: Connection, info: bytes) -> None:
        """A member is about to come in; the info, JSON, is what others in this room may know besides."""
        ...

    def went(self, room: str, member: Connection) -> None:
        """A member has left."""
        ...


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """How a room stands for a member that is about to come in."""

    position: Position | None
    """What is delivered next follows it; None for a room without history."""

    missed: list[Publication] | None
    """All that followed what the member had seen; None if that is not kept, or was not asked for."""


class Memberships:
    """What the broker delivers goes to members here, and what members do is told to the broker.

    Args:
        rooms: the registry.
        fanout: writes to the members.
        following: the subscriptions at the broker.
        signals: gets what is meant for no room of members.
        limits: for names and numbers of rooms.
        options: looks up a room's options by its name.
        stats: counts losses.
    """

    __slots__ = (
        "_fanout",
        "_following",
        "_limits",
        "_options",
        "_rooms",
        "_signals",
        "_stats",
        "listeners",
        "presence",
    )

    def __init__(
        self,
        rooms: Rooms[Connection],
        fanout: Fanout,
        following: Following,
        signals: Signals,
        limits: Limits,
        options: Callable[[str], RoomOptions],
        stats: Stats,
    ) -> None:
        self._rooms = rooms
        self._fanout = fanout
        self._following = following
        self._signals = signals
        self._limits = limits
        self._options = options
        self._stats = stats
        self.listeners = Listeners(following, limits.outbox_bytes)
        """Python code that hears rooms."""

        self.presence: PresenceKeeper | None = None
        """Is told who comes and goes where presence is kept; None while the hub is not running."""

    # What members do

    async def join(self, name: str, member: Connection, since: Position | None = None) -> Joined:
        """Put a member into a room, after what it missed since a position.

        Raises:
            InvalidRoomName, LimitReached, ConfigurationError: as `Hub.join` says.
            Disconnected: also if what it missed is too much for a client that is behind already, or if the
                room forgets more quickly than the member reads it.
            BrokerError: if the broker does not answer.
        """
        if self.check(name, member):
            return Joined(self._following.position(name))
        await self._following.follow(name)
        try:
            since = None if since is None else self._following.placed(name, since)
            begin, recovered, missed = await self._catch_up(name, member, since)
            if self._is_in(name, member):  # others ran meanwhile
                self._following.unfollow(name)
                return Joined(self._following.position(name))
            self._come(name, member)
        except BaseException:
            self._following.unfollow(name)
            raise
        self._fanout.flush_room(name)
        if begin:
            self._announce(name, member, recovered, since if recovered else None)
        if missed:
            member.write(missed)
        if member.closed:  # by these words: too many for a client that is behind already
            self._went(name, member)
            raise member.transport.ended()
        self._rooms.join(name, member, member.format)
        return Joined(self._following.position(name), recovered)

    async def prepare(self, name: str, member: Connection, since: Position | None = None) -> Arrival:
        """The first half of a join, for those who write themselves what a member missed.

        `enter`, or `abandon`, must follow. Until something is awaited, the answer is exact: what is delivered
        next follows it.

        Args:
            name: the room's name.
            member: who is to come in.
            since: what it has seen; an empty epoch stands for the room's present one.

        Raises:
            InvalidRoomName, LimitReached, Disconnected: as `Hub.join` says.
            BrokerError: if the broker does not answer.
        """
        self.check(name, member)
        await self._following.follow(name)
        try:
            missed = None if since is None else await self._all_missed(name, since)
            self._is_in(name, member)
        except BaseException:
            self._following.unfollow(name)
            raise
        return Arrival(self._following.position(name), missed)

    def enter(self, name: str, member: Connection, format: Format, info: bytes = b"null") -> None:
        """The second half: from now on the room's publications are written to the member, in that format.

        Args:
            name: the room's name.
            member: who comes in.
            format: how publications look to it.
            info: what others in this room may know of it besides; JSON.

        Raises:
            ConfigurationError: if the room has presence, and what is known of the member cannot be told.
            LimitReached: if it has presence and too many members here.
        """
        self._come(name, member, info)
        self._fanout.flush_room(name)
        if not self._rooms.join(name, member, format):
            self._following.unfollow(name)

    def abandon(self, name: str) -> None:
        """In place of `enter`: the member does not come in."""
        self._following.unfollow(name)

    def reformat(self, name: str, format: Format, to: Format) -> None:
        """From now on the room's members that have this format have another one."""
        self._fanout.flush_room(name)
        self._rooms.reformat(name, format, to)

    def leave(self, name: str, member: Connection) -> bool:
        """Take a member out of a room; False if it was not in it."""
        self._fanout.flush_room(name)
        if not self._rooms.leave(name, member):
            return False
        self._went(name, member)
        return True

    def forget(self, member: Connection) -> list[str]:
        """Take it out of all rooms; return their names."""
        names = self._rooms.forget(member)
        for name in names:
            self._went(name, member)
        return names

    def _come(self, name: str, member: Connection, info: bytes = b"null") -> None:
        if self.presence is not None and self._options(name).presence:
            self.presence.came(name, member, info)
        member.settle()

    def _went(self, name: str, member: Connection) -> None:
        self._following.unfollow(name)
        if self.presence is not None and self._options(name).presence:
            self.presence.went(name, member)

    # What the broker tells

    def publication(self, publication: Publication) -> None:
        """Take a publication from the broker. Part of the hot path."""
        if publication.position is not None:
            self._following.delivered(publication)
        if self.listeners.live:
            self.listeners.heard(publication)
        if not self._fanout.publication(publication):
            self._signals.heard(publication)

    def passed(self, name: str, position: Position) -> None:
        """The room stands there; what led to it was erased."""
        self._following.passed(name, position)

    def erased(self, name: str, position: Position) -> None:
        """A publication was erased: keep it no longer for anybody."""
        self._following.erased(name, position)
        self.listeners.erased(name, position)
        self._fanout.flush_room(name)
        room = self._rooms.get(name)
        for format in {kind[0] for kind in room.groups} if room else ():
            format.forget(position)

    def interrupted(self, name: str, position: Position) -> None:
        """Publications were lost: the members are told, or closed so that they come back and ask."""
        if not self._following.interrupted(name, position) or self._signals.interrupted(name):
            return
        self._stats.interrupted += 1
        self.listeners.interrupted(name)
        self._fanout.flush_room(name)
        room = self._rooms.get(name)
        for group in list(room.groups.values()) if room else ():
            format, codec = group.kind
            notice = format.gap(name, position)
            if notice is not None:
                items = [codec.encode(notice)]
                for member in list(group.members):
                    member.write(items)
            else:
                for member in list(group.members):
                    member.interrupted(name, position)

    # Coming in

    def check(self, name: str, member: Connection) -> bool:
        """Whether it is a member already; raises, as `Hub.join` does, if it cannot become one."""
        self._limits.check_room_name(name)
        return self._is_in(name, member)

    def _is_in(self, name: str, member: Connection) -> bool:
        """`check` for a name that was looked at."""
        joined = self._rooms.joined(member)
        if member.closed or not joined:  # who is not even in the room of everyone is not the hub's any more
            raise member.transport.ended()
        if name in joined:
            return True
        # One room more: that of everyone.
        if len(joined) > self._limits.rooms_per_connection:
            raise LimitReached(f"No more than {self._limits.rooms_per_connection} rooms for one connection")
        return False

    async def _all_missed(self, name: str, since: Position) -> list[Publication] | None:
        """All that followed; None if that is not kept."""
        since = self._following.placed(name, since)
        found: list[Publication] = []
        while True:
            try:
                missed = await self._following.missed(name, since, PAGE)
            except HistoryGone:
                return None
            found += missed.publications
            if missed.complete:
                return found
            since = missed.position

    async def _catch_up(
        self, name: str, member: Connection, since: Position | None
    ) -> tuple[bool, bool | None, list[Outgoing[object]]]:
        """What to write when the member comes in, until something is awaited: whether it is yet to be told
        that it comes in, whether all it missed is there, and what of that was not sent yet."""
        if since is None:
            return True, None, []
        told = False
        while True:
            try:
                missed = await self._following.missed(name, since, PAGE)
            except HistoryGone:
                if told:  # the room has forgotten what the client had not read yet
                    member.slow()
                    raise member.transport.ended() from None
                return True, False, []
            items = [self._encode(name, member, publication) for publication in missed.publications]
            if missed.complete and sum(item.size for item in items) <= self._limits.outbox_bytes // 2:
                return not told, True, items
            # Too much to write at once: page by page, as fast as the client reads.
            if not told:
                self._announce(name, member, True, since)
                told = True
            for item in items:
                await member.pass_on(item)
            since = missed.position

    def _announce(
        self, name: str, member: Connection, recovered: bool | None, since: Position | None
    ) -> None:
        position = since or self._following.position(name)
        notice = member.format.joined(name, position, recovered)
        if notice is not None:
            member.write([member.codec.encode(notice)])

    def _encode(self, name: str, member: Connection, publication: Publication) -> Outgoing[object]:
        payload = member.format.present(publication)
        return member.codec.encode(payload, room=name, key=publication.key)
