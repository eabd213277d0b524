"""Who is in a room, on all nodes: users, not connections. Several tabs of one user are one user."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hubbub.core.local_members import MAX_MEMBERS
from hubbub.core.presence_messages import Delta, Member, Snapshot


@dataclass(frozen=True, slots=True)
class Present:
    """A user in a room with all connections, the oldest first; or a connection without user."""

    members: tuple[Member, ...]

    @property
    def user(self) -> str | None:
        """The user's id; None for a connection without user."""
        return self.members[0].user

    @property
    def info(self) -> Any:
        """What others may know: the info of the oldest connection."""
        return self.members[0].info


@dataclass(frozen=True, slots=True)
class Change:
    """A user came or went."""

    joined: bool
    """False for one who left."""

    present: Present
    """The user, after coming or before going."""


Moved: TypeAlias = Callable[[Member, bool], None]
"""Called with a connection that came (True) or went."""


def _unseen(member: Member, came: bool) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class _Share:
    """One node's part of the room."""

    sequence: int = -1  # of the newest message
    members: dict[str, Member] = field(default_factory=dict)
    parts: list[Member] | None = None  # of a snapshot that is not complete
    next_part: int = 0


class PresenceTable:
    """The members of one room, told by messages that come in the same order on all nodes."""

    __slots__ = ("_shares", "_users")

    def __init__(self) -> None:
        self._shares: dict[str, _Share] = {}
        # by `Member.key`; the inner keys are node and client
        self._users: dict[str, dict[tuple[str, str], Member]] = {}

    def __len__(self) -> int:
        """How many users there are."""
        return len(self._users)

    def present(self) -> list[Present]:
        """Everybody, in the order they were heard of."""
        return [Present(tuple(members.values())) for members in self._users.values()]

    def clients(self, node: str) -> set[str]:
        """The ids of the connections that a node has in the room."""
        share = self._shares.get(node)
        return set() if share is None else set(share.members)

    def outdated(self, message: Delta | Snapshot) -> bool:
        """Whether something newer came from this node already."""
        share = self._shares.get(message.node)
        return share is not None and message.sequence <= share.sequence

    def apply(self, message: Delta | Snapshot, moved: Moved = _unseen) -> list[Change]:
        """Do what a message says, if it is not outdated; return what that means for users.

        `moved` is called for each connection that came or went.
        """
        if self.outdated(message):
            return []
        share = self._shares.setdefault(message.node, _Share())
        share.sequence = message.sequence
        if isinstance(message, Delta):
            share.parts = None  # a snapshot is complete only without a gap
            return self._change(message.node, share, message.joined, message.left, moved)
        members = _collect(share, message)
        if members is None:
            return []
        gone = [client for client in share.members if client not in members]
        return self._change(message.node, share, members.values(), gone, moved)

    def interrupted(self) -> None:
        """Messages were lost: snapshots of which some parts came are void."""
        for share in self._shares.values():
            share.parts = None

    def drop(self, node: str, moved: Moved = _unseen) -> list[Change]:
        """A node is gone, and its members with it; return what that means for users."""
        share = self._shares.pop(node, None)
        return [] if share is None else self._change(node, share, (), list(share.members), moved)

    def _change(
        self, node: str, share: _Share, joined: Iterable[Member], left: Iterable[str], moved: Moved
    ) -> list[Change]:
        before: dict[str, Present | None] = {}
        for member in joined:
            known = share.members.get(member.client)
            if known == member or (known is None and len(share.members) >= MAX_MEMBERS):
                continue
            if known is not None and known.key != member.key:
                self._remove(node, share, member.client, before, moved)
                known = None
            if member.key not in before:
                before[member.key] = self._of(member.key)
            share.members[member.client] = member
            self._users.setdefault(member.key, {})[node, member.client] = member
            if known is None:
                moved(member, True)
        for client in left:
            self._remove(node, share, client, before, moved)
        changes: list[Change] = []
        for key, was in before.items():
            now = self._of(key)
            if was is None and now is not None:
                changes.append(Change(True, now))
            elif was is not None and now is None:
                changes.append(Change(False, was))
        return changes

    def _remove(
        self, node: str, share: _Share, client: str, before: dict[str, Present | None], moved: Moved
    ) -> None:
        member = share.members.pop(client, None)
        if member is None:
            return
        if member.key not in before:
            before[member.key] = self._of(member.key)
        members = self._users[member.key]
        del members[node, client]
        if not members:
            del self._users[member.key]
        moved(member, False)

    def _of(self, key: str) -> Present | None:
        members = self._users.get(key)
        return None if members is None else Present(tuple(members.values()))


def _collect(share: _Share, snapshot: Snapshot) -> dict[str, Member] | None:
    """Add a part to those before it; all members once it was the last, None until then."""
    if snapshot.part == 0:
        share.parts, share.next_part = [], 0
    if share.parts is None or snapshot.part != share.next_part:
        share.parts = None
        return None
    share.next_part += 1
    share.parts += snapshot.members
    if len(share.parts) > MAX_MEMBERS:
        share.parts = None
        return None
    if not snapshot.last:
        return None
    members, share.parts = share.parts, None
    return {member.client: member for member in members}
