"""Who is present: users, not sockets. Several tabs of one user are one user."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)


@dataclass(slots=True)
class Present(Generic[C]):
    """One user in a room: the info of the first connection, and all the connections."""

    user: str
    info: Mapping[str, object]
    connections: dict[C, None] = field(default_factory=dict)


class Presence(Generic[C]):
    """The users of one room. `joined` and `left` answer whether the user itself came or went."""

    __slots__ = ("_users",)

    def __init__(self) -> None:
        self._users: dict[str, Present[C]] = {}

    def __len__(self) -> int:
        return len(self._users)

    def joined(self, user: str, connection: C, info: Mapping[str, object]) -> bool:
        """Count a connection of the user in; True when it is the user's first."""
        present = self._users.get(user)
        first = present is None
        if present is None:
            present = self._users[user] = Present(user, info)
        present.connections[connection] = None
        return first

    def left(self, user: str, connection: C) -> bool:
        """Count a connection of the user out; True when it was the user's last."""
        present = self._users.get(user)
        if present is None or connection not in present.connections:
            return False
        del present.connections[connection]
        if present.connections:
            return False
        del self._users[user]
        return True

    def users(self) -> list[Present[C]]:
        """Everybody present, in the order they came."""
        return list(self._users.values())
