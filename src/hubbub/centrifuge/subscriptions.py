"""The channels of one client: which it subscribes to, and until when."""

from typing import Final

import msgspec

from hubbub.centrifuge.errors import ErrorCode

SUBSCRIPTION_GRACE: Final = 25.0
"""Seconds that an expired subscription lives on, for the client to bring a new token."""


class Subscription(msgspec.Struct, eq=False, gc=False):
    """One channel of the client."""

    channel: str
    server_side: bool = False
    live: bool = False
    """The reply that subscribes is out."""

    client_refresh: bool = False
    server_refresh: bool = False
    """At its end the application is asked whether it goes on."""

    ends: float | None = None
    """When it is ended if no new token came; None for never."""

    join_leave: bool = False

    def prolong(self, ttl: float | None, now: float) -> None:
        """It is good for so many seconds; None for ever."""
        grace = 0.0 if self.server_refresh else SUBSCRIPTION_GRACE
        self.ends = None if ttl is None else now + ttl + grace


class Subscriptions(msgspec.Struct, eq=False, gc=False):
    """All subscriptions of one client, those that wait for their answer among them.

    Args:
        limit: how many there may be.
    """

    _limit: int
    _channels: dict[str, Subscription] = {}
    _due: float | None = None  # no later than the first end

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def full(self) -> bool:
        """No other one is taken."""
        return len(self._channels) >= self._limit

    @property
    def due(self) -> float | None:
        """When to look for `ended` ones; None for never."""
        return self._due

    def obstacle(self, channel: str) -> ErrorCode | None:
        """Why there is no place for a subscription; None if there is one."""
        if channel in self._channels:
            return ErrorCode.ALREADY_SUBSCRIBED
        return ErrorCode.LIMIT_EXCEEDED if self.full else None

    def reserve(self, channel: str, *, server_side: bool = False) -> Subscription | ErrorCode:
        """A place for a subscription that is asked for now; an error if there is none."""
        obstacle = self.obstacle(channel)
        if obstacle is not None:
            return obstacle
        subscription = self._channels[channel] = Subscription(channel, server_side)
        return subscription

    def drop(self, channel: str) -> None:
        """Forget it."""
        self._channels.pop(channel, None)

    def get(self, channel: str) -> Subscription | None:
        """The client's subscription, live or not."""
        return self._channels.get(channel)

    def live(self, channel: str) -> Subscription | None:
        """The client's subscription, if its reply is out."""
        subscription = self._channels.get(channel)
        return subscription if subscription is not None and subscription.live else None

    def watch(self, subscription: Subscription) -> None:
        """It is live, or has a new end."""
        subscription.live = True
        if subscription.ends is not None and (self._due is None or subscription.ends < self._due):
            self._due = subscription.ends

    def ended(self, now: float) -> list[Subscription]:
        """The live ones whose time is over."""
        if self._due is None or now < self._due:
            return []
        ends = [(one.ends, one) for one in self._channels.values() if one.live and one.ends is not None]
        self._due = min((end for end, _ in ends if end > now), default=None)
        return [one for end, one in ends if end <= now]
