"""Who is in which room."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from hubbub.core.formats import PLAIN, Filtered, Format
from hubbub.core.messages import Publication
from hubbub.core.options import RoomOptions
from hubbub.core.outbox import Codec


class Member(Hashable, Protocol):
    """What the registry asks of a member."""

    @property
    def codec(self) -> Codec:
        """Members with the same codec get the same bytes, encoded once."""
        ...

    @property
    def handle(self) -> Any:
        """What the codec's `deliver` writes to. Both may change: `Rooms.regroup` follows."""
        ...


M = TypeVar("M", bound=Member)

Kind: TypeAlias = tuple[Format, Codec]
"""Clients of the same kind get the same bytes."""

Credit: TypeAlias = Callable[[M, int, int], None]
"""Adds to a member's messages and bytes; both may be negative."""


class Group(Generic[M]):
    """The members of a room that are of the same kind.

    What was written is counted for the group and not for each member: a member is debited what the group has
    got when it comes and credited with it when it goes, and got the difference.
    """

    __slots__ = ("_line", "bytes", "filter", "kind", "members", "messages", "whole")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        format, codec = kind
        self.filter = format if type(format) is Filtered else None
        self.whole = kind if self.filter is None else (self.filter.base, codec)
        """The kind that gets the same bytes, and all of them."""
        self.members: dict[M, Any] = {}  # with its handle
        self._line: Any = None  # the handles, lined up; made when needed
        self.messages = 0
        self.bytes = 0

    @property
    def line(self) -> Any:
        """The handles, as the codec's `deliver` wants them."""
        if self._line is None:
            self._line = self.kind[1].line_up(self.members.values())
        return self._line

    def add(self, member: M) -> None:
        """Add a member."""
        self.members[member] = member.handle
        self._line = None

    def remove(self, member: M) -> None:
        """Remove one that is in the group."""
        del self.members[member]
        self._line = None


class Room(Generic[M]):
    """A named group of members, kept apart by kind. It exists as long as it has a member.

    There may be very many: what only some of them need is made when it is needed.
    """

    __slots__ = (
        "_credit",
        "bytes",
        "count",
        "delivered",
        "groups",
        "name",
        "options",
        "pending",
        "published",
    )

    def __init__(self, name: str, options: RoomOptions, credit: "Credit[M] | None" = None) -> None:
        self.name = name
        self.options = options
        self._credit = credit
        self.count = 0
        self.groups: dict[Kind, Group[M]] = {}
        self.pending: list[Publication] | None = None  # of this tick, not yet written to the members
        self.published = 0  # publications that were written to the members
        self.delivered = 0  # the same, for each member
        self.bytes = 0  # that this took

    def __iter__(self) -> Iterator[M]:
        for group in list(self.groups.values()):
            yield from list(group.members)

    def add(self, member: M, format: Format = PLAIN) -> None:
        """Add a member that is not in the room."""
        kind = (format, member.codec)
        group = self.groups.get(kind)
        if group is None:
            group = self.groups[kind] = Group(kind)
        group.add(member)
        self.count += 1
        self._settle(member, group, -1)

    def written(self, group: Group[M], messages: int, size: int) -> int:
        """Count so many messages, and so many bytes, to each of a group's members; return to how many.

        Part of the hot path.
        """
        members = len(group.members)
        group.messages += messages
        group.bytes += size
        self.delivered += messages * members
        self.bytes += size * members
        return members

    def credit(self, member: M) -> tuple[int, int]:
        """The messages, and bytes, that a member of the room would be credited with if it left now."""
        group = self._group_of(member)
        return group.messages, group.bytes

    def remove(self, member: M) -> Format:
        """Remove a member that is in the room; return its format."""
        group = self._group_of(member)
        group.remove(member)
        self.count -= 1
        self._settle(member, group, 1)
        if not group.members:
            del self.groups[group.kind]
        return group.kind[0]

    def _group_of(self, member: M) -> Group[M]:
        return next(group for group in self.groups.values() if member in group.members)

    def _settle(self, member: M, group: Group[M], sign: int) -> None:
        if group.messages and self._credit is not None:
            self._credit(member, sign * group.messages, sign * group.bytes)


class Rooms(Generic[M]):
    """The registry: rooms by name, and the rooms of each member. Every change is one synchronous call.

    Args:
        options: looks up the options of a room by its name.
        credit: counts what members got from their rooms; None where nobody wants to know.
    """

    __slots__ = ("_credit", "_memberships", "_options", "_rooms", "get", "members")

    def __init__(self, options: Callable[[str], RoomOptions], credit: "Credit[M] | None" = None) -> None:
        self._options = options
        self._credit = credit
        self.members = 0  # of all rooms together
        self._rooms: dict[str, Room[M]] = {}
        self._memberships: dict[M, dict[str, Room[M]]] = {}
        self.get: Callable[[str], Room[M] | None] = self._rooms.get  # hot: no call in between
        """The room of that name; None when nobody is in it."""

    def __len__(self) -> int:
        return len(self._rooms)

    def __iter__(self) -> Iterator[Room[M]]:
        return iter(list(self._rooms.values()))

    def count(self, name: str) -> int:
        """How many members the room has; 0 for a room that does not exist."""
        room = self._rooms.get(name)
        return 0 if room is None else room.count

    def of(self, member: M) -> list[Room[M]]:
        """The rooms that the member is in, in the order it joined them."""
        return list(self._memberships.get(member, {}).values())

    def joined(self, member: M) -> Mapping[str, Room[M]] | None:
        """The same by name, as it is now; None for a member that is in no room."""
        return self._memberships.get(member)

    def join(self, name: str, member: M, format: Format = PLAIN) -> bool:
        """Put the member into the room; return False when it was in it already."""
        joined = self._memberships.setdefault(member, {})
        if name in joined:
            return False
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name, self._options(name), self._credit)
        room.add(member, format)
        joined[name] = room
        self.members += 1
        return True

    def leave(self, name: str, member: M) -> bool:
        """Take the member out of the room; return False when it was not in it. An empty room vanishes."""
        joined = self._memberships.get(member)
        if joined is None or name not in joined:
            return False
        room = joined.pop(name)
        if not joined:
            del self._memberships[member]
        room.remove(member)
        self.members -= 1
        if not room.count:
            del self._rooms[name]
        return True

    def regroup(self, member: M) -> None:
        """The member's codec or handle has changed: let all its rooms know."""
        for room in self.of(member):
            room.add(member, room.remove(member))

    def reformat(self, name: str, format: Format, to: Format) -> None:
        """Give another format to all members of a room that have this one."""
        room = self._rooms.get(name)
        if room is None:
            return
        for group in [group for group in room.groups.values() if group.kind[0] is format]:
            for member in list(group.members):
                room.remove(member)
                room.add(member, to)

    def forget(self, member: M) -> list[str]:
        """Take the member out of all its rooms; return their names."""
        names = list(self._memberships.get(member, ()))
        for name in names:
            self.leave(name, member)
        return names
