"""The gate of a hub: who gets a place, and how much may be said from it. Pure; the time is given."""

from typing import Final

from hubbub.core.errors import LimitReached, Overloaded
from hubbub.core.protection import Protection
from hubbub.core.rates import Buckets, Debts, Rate

FORGIVEN: Final = 10.0
"""Seconds without a refusal after which a connection's strikes are forgotten."""


class Gate:
    """Counts the places of one process.

    Args:
        protection: the rates and caps.
        subscriptions: rooms that one connection may be in: it asks for all of them when it comes back.
    """

    def __init__(self, protection: Protection, subscriptions: int) -> None:
        self.protection = protection
        messages = protection.messages
        self.commands = Rate(messages.per_second, messages.burst + subscriptions) if messages else None
        """Of commands about the connection itself, like subscribing."""

        self._debts = Debts(messages) if messages else None
        self._most_open = protection.connections
        self._handshakes = Buckets(protection.handshakes) if protection.handshakes else None
        self._user_messages = Buckets(protection.user_messages) if protection.user_messages else None
        self.newcomers = 0
        """Clients of which it is not known yet who they are."""

        self._open = 0
        self._of_address: dict[str, int] = {}
        self._of_user: dict[str, int] = {}

    def knock(self, address: str | None, now: float) -> bool:
        """Count a handshake of an address, None for one that is not known; False if there were too many."""
        return self._handshakes is None or address is None or self._handshakes.spend(address, now)

    def bound(self, most: int | None) -> None:
        """The process has room for no more than so many, None for any number. No cap stays no cap."""
        own = self.protection.connections
        self._most_open = own if own is None or most is None else min(own, most)

    @property
    def has_room_for_newcomers(self) -> bool:
        """Whether one more may come of which it is not known yet who it is."""
        most = self.protection.unauthenticated
        return most is None or self.newcomers < most

    def enter(self, address: str | None, user: str | None = None) -> "Place":
        """Take a place.

        Raises:
            Overloaded: if there is none, or the address has too many.
            LimitReached: if the user has too many.
        """
        if self._most_open is not None and self._open >= self._most_open:
            raise Overloaded("Too many connections")
        most = self.protection.connections_per_address
        if address is not None and most is not None and self._of_address.get(address, 0) >= most:
            raise Overloaded("Too many connections of this address")
        place = Place(self, address)
        place.recognise(user)
        self._open += 1
        if address is not None:
            self._of_address[address] = self._of_address.get(address, 0) + 1
        return place

    # What places ask

    def add_user(self, user: str) -> bool:
        """Count one more place of a user; False if the user has too many."""
        most = self.protection.connections_per_user
        count = self._of_user.get(user, 0)
        if most is not None and count >= most:
            return False
        self._of_user[user] = count + 1
        return True

    def spend(self, user: str, now: float) -> bool:
        """Take a token of a user's; False if there is none."""
        return self._user_messages is None or self._user_messages.spend(user, now)

    def debt(self, address: str | None, now: float) -> float:
        """When the bucket of one that says its first word is full: it may be what an earlier one had left."""
        return now if address is None or self._debts is None else self._debts.take(address, now)

    def owe(self, address: str | None, full_at: float) -> None:
        """One that has spoken is gone, and its bucket is full at `full_at`."""
        if address is not None and self._debts is not None:
            self._debts.leave(address, full_at)

    def free(self, address: str | None, user: str | None) -> None:
        """A place is free again."""
        self._open -= 1
        if address is not None:
            _less(self._of_address, address)
        if user is not None:
            _less(self._of_user, user)


class Place:
    """What one connection takes, from its handshake to its end.

    Args:
        gate: gave it.
        address: the client's; None for one that is not known.
    """

    __slots__ = (
        "_address",
        "_commands_full_at",
        "_free",
        "_gate",
        "_messages_full_at",
        "_strikes",
        "_struck_at",
        "_user",
    )

    def __init__(self, gate: Gate, address: str | None) -> None:
        self._gate = gate
        self._address = address
        self._user: str | None = None
        self._messages_full_at = 0.0  # until the first message
        self._commands_full_at = 0.0
        self._strikes = 0
        self._struck_at = 0.0  # the last time
        self._free = False

    def recognise(self, user: str | None) -> None:
        """It is known now whose it is. Raises `LimitReached` if the user has too many."""
        if user is None or self._user is not None or self._free:
            return
        if not self._gate.add_user(user):
            raise LimitReached("Too many connections of this user")
        self._user = user

    def message(self, now: float) -> bool:
        """Take a token for a message; False if there is none, of the connection's or the user's."""
        rate = self._gate.protection.messages
        if rate is not None:
            if not self._messages_full_at:
                self._messages_full_at = self._gate.debt(self._address, now)
            later = rate.spend(self._messages_full_at, now)
            if later is None:
                return False
            self._messages_full_at = later
        return self._user is None or self._gate.spend(self._user, now)

    def command(self, now: float) -> bool:
        """Take a token for a command about the connection itself; False if there is none."""
        rate = self._gate.commands
        if rate is None:
            return True
        later = rate.spend(self._commands_full_at, now)
        if later is None:
            return False
        self._commands_full_at = later
        return True

    def strike(self, now: float) -> bool:
        """Count a refusal; False if it is one too many."""
        if now - self._struck_at > FORGIVEN:
            self._strikes = 0
        self._strikes += 1
        self._struck_at = now
        return self._strikes <= self._gate.protection.strikes

    def leave(self) -> None:
        """Give the place back; a second time does nothing."""
        if not self._free:
            self._free = True
            if self._messages_full_at:
                self._gate.owe(self._address, self._messages_full_at)
            self._gate.free(self._address, self._user)


def _less(counts: dict[str, int], key: str) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
