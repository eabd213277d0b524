"""Who is in which room."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from hubbub.core.formats import PLAIN, Format
from hubbub.core.messages import Publication
from hubbub.core.options import RoomOptions
from hubbub.core.outbox import Codec
from hubbub.core.stats import Tally


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

Group: TypeAlias = tuple[Format, Codec]
"""Members with the same format and codec get the same bytes."""

Credit: TypeAlias = Callable[[M, int, int], None]
"""Adds to a member's messages and bytes; both may be negative."""


class Room(Generic[M]):
    """A named group of members, kept apart by format and codec. It exists as long as it has a member.

    What was written is counted per group and not per member: a member is debited the group's total when it
    comes and credited with it when it goes, and got the difference.
    """

    __slots__ = (
        "_credit",
        "_lines",
        "_totals",
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
        self._totals: dict[Group, Tally] = {}  # what each member of a group got since the group is there
        self.published = 0  # publications that were written to the members
        self.delivered = Tally()  # the same, for each member
        self.count = 0
        self.groups: dict[Group, dict[M, Any]] = {}  # group -> member -> its handle
        self._lines: dict[Group, Any] = {}  # group -> its members' handles, lined up; made when needed
        self.pending: list[Publication] = []  # published in this tick, not yet written to the members

    def __iter__(self) -> Iterator[M]:
        for group in list(self.groups.values()):
            yield from list(group)

    def add(self, member: M, format: Format = PLAIN) -> None:
        """Add a member that is not in the room."""
        group = (format, member.codec)
        self.groups.setdefault(group, {})[member] = member.handle
        self._lines.pop(group, None)
        self.count += 1
        self._settle(member, group, -1)

    def written(self, group: Group, members: int, messages: int, size: int) -> None:
        """Count so many messages, and so many bytes, to each of a group's members. Part of the hot path."""
        if not members:  # they have left while others were written to
            return
        total = self._totals.get(group)
        if total is None:
            total = self._totals[group] = Tally()
        total.messages += messages
        total.bytes += size
        self.delivered.messages += messages * members
        self.delivered.bytes += size * members

    def credit(self, member: M) -> Tally:
        """What a member of the room would be credited with if it left now."""
        group = next(group for group, members in self.groups.items() if member in members)
        return self._totals.get(group) or Tally()

    def line(self, group: Group) -> Any:
        """The handles of a group, as its codec's `deliver` wants them."""
        line = self._lines.get(group)
        if line is None:
            line = self._lines[group] = group[1].line_up(self.groups.get(group, {}).values())
        return line

    def remove(self, member: M) -> Format:
        """Remove a member that is in the room; return its format."""
        group, members = next(item for item in self.groups.items() if member in item[1])
        del members[member]
        self._lines.pop(group, None)
        self.count -= 1
        self._settle(member, group, 1)
        if not members:
            del self.groups[group]
            self._totals.pop(group, None)
        return group[0]

    def _settle(self, member: M, group: Group, sign: int) -> None:
        total = self._totals.get(group)
        if total is not None and self._credit is not None:
            self._credit(member, sign * total.messages, sign * total.bytes)


class Rooms(Generic[M]):
    """The registry: rooms by name, and the rooms of each member. Every change is one synchronous call.

    Args:
        options: looks up the options of a room by its name.
        credit: counts what members got from their rooms; None where nobody wants to know.
    """

    __slots__ = ("_credit", "_memberships", "_options", "_rooms", "members")

    def __init__(self, options: Callable[[str], RoomOptions], credit: "Credit[M] | None" = None) -> None:
        self._options = options
        self._credit = credit
        self.members = 0  # of all rooms together
        self._rooms: dict[str, Room[M]] = {}
        self._memberships: dict[M, dict[str, Room[M]]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def __iter__(self) -> Iterator[Room[M]]:
        return iter(list(self._rooms.values()))

    def get(self, name: str) -> Room[M] | None:
        """The room of that name; None when nobody is in it."""
        return self._rooms.get(name)

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
        for group in [group for group in room.groups if group[0] is format]:
            for member in list(room.groups[group]):
                room.remove(member)
                room.add(member, to)

    def forget(self, member: M) -> list[str]:
        """Take the member out of all its rooms; return their names."""
        names = list(self._memberships.get(member, ()))
        for name in names:
            self.leave(name, member)
        return names
