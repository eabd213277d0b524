"""Who is in which room."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from hubbub.core.formats import PLAIN, Format
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

Group: TypeAlias = tuple[Format, Codec]
"""Members with the same format and codec get the same bytes."""


class Room(Generic[M]):
    """A named group of members, kept apart by format and codec. It exists as long as it has a member."""

    __slots__ = ("_lines", "count", "groups", "name", "options", "pending")

    def __init__(self, name: str, options: RoomOptions) -> None:
        self.name = name
        self.options = options
        self.count = 0
        self.groups: dict[Group, dict[M, Any]] = {}  # group -> member -> its handle
        self._lines: dict[Group, Any] = {}  # group -> its members' handles, lined up; made when needed
        self.pending: list[Publication] = []  # published in this tick, not yet written to the members

    def __iter__(self) -> Iterator[M]:
        for group in list(self.groups.values()):
            yield from list(group)

    def __contains__(self, member: M) -> bool:
        return any(member in group for group in self.groups.values())

    def add(self, member: M, format: Format = PLAIN) -> None:
        """Add a member that is not in the room."""
        group = (format, member.codec)
        self.groups.setdefault(group, {})[member] = member.handle
        self._lines.pop(group, None)
        self.count += 1

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
        if not members:
            del self.groups[group]
        return group[0]


class Rooms(Generic[M]):
    """The registry: rooms by name, and the rooms of each member. Every change is one synchronous call.

    Args:
        options: looks up the options of a room by its name.
    """

    __slots__ = ("_memberships", "_options", "_rooms")

    def __init__(self, options: Callable[[str], RoomOptions]) -> None:
        self._options = options
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

    def join(self, name: str, member: M, format: Format = PLAIN) -> bool:
        """Put the member into the room; return False when it was in it already."""
        joined = self._memberships.setdefault(member, {})
        if name in joined:
            return False
        room = self._rooms.get(name)
        if room is None:
            room = self._rooms[name] = Room(name, self._options(name))
        room.add(member, format)
        joined[name] = room
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
