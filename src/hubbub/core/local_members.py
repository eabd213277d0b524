"""A node's own members in a room, and what the other nodes have not been told of them."""

from collections.abc import Callable, KeysView
from typing import Final

from hubbub.core.errors import LimitReached
from hubbub.core.presence_messages import MAX_CHUNK, Delta, Member, Snapshot, chunks

MAX_MEMBERS: Final = 100_000
"""Most connections of one node in one room with presence."""


class LocalMembers:
    """Changes between two calls of `take` become one message; who came and went meanwhile is not in it."""

    __slots__ = ("_all", "_changed", "_members")

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._changed: dict[str, bool] = {}  # not told yet: whether the others know the client
        self._all = False  # whether everything has to be told

    def __len__(self) -> int:
        return len(self._members)

    @property
    def clients(self) -> KeysView[str]:
        """The ids of the connections."""
        return self._members.keys()

    @property
    def untold(self) -> bool:
        """Whether `take` has something to tell."""
        return self._all or bool(self._changed)

    def join(self, member: Member) -> None:
        """A connection came, or what is known about it has changed.

        Raises:
            LimitReached: if the node has 100,000 in this room.
        """
        known = member.client in self._members
        if not known and len(self._members) >= MAX_MEMBERS:
            raise LimitReached(f"No more than {MAX_MEMBERS:,} members of a room on one node")
        self._changed.setdefault(member.client, known)
        self._members[member.client] = member

    def leave(self, client: str) -> bool:
        """A connection went; False if it was not there."""
        if self._members.pop(client, None) is None:
            return False
        self._changed.setdefault(client, True)
        return True

    def tell_all(self) -> None:
        """Somebody may not know what was told: the next `take` tells everything."""
        self._all = True

    def take(self, node: str, sequence: Callable[[], int]) -> list[Delta] | list[Snapshot]:
        """The messages to send now, in this order; what they say counts as told.

        If one of them cannot be sent, call `tell_all`.

        Args:
            node: this node's id.
            sequence: gives the next number.
        """
        changed, self._changed = self._changed, {}
        if self._all:
            self._all = False
            parts = list(chunks(self._members.values())) or [[]]
            last = len(parts) - 1
            return [Snapshot(node, sequence(), n, n == last, part) for n, part in enumerate(parts)]
        return _deltas(changed, self._members, node, sequence)


def _deltas(
    changed: dict[str, bool], members: dict[str, Member], node: str, sequence: Callable[[], int]
) -> list[Delta]:
    came = list(chunks(members[client] for client in changed if client in members))
    gone = [client for client, known in changed.items() if known and client not in members]
    # First all who came: a user who went and came back at once was never away.
    deltas: list[Delta] = []
    while came or gone:
        joined = came.pop(0) if came else []
        left, gone = ([], gone) if came else (gone[:MAX_CHUNK], gone[MAX_CHUNK:])
        deltas.append(Delta(node, sequence(), joined, left))
    return deltas
