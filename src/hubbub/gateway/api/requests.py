"""What a backend asks for: the requests of the page "Server API walkthrough" of Centrifugo's documentation.

Fields of JSON of any shape are `msgspec.Raw`. Fields that are not known are ignored. Times are in seconds
since the Unix epoch, and 0 stands for none.
"""

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import msgspec

from hubbub.centrifuge.requests import NOTHING, StreamPosition

MAX_CHANNELS = 10_000
"""Channels that one broadcast goes to."""

Time: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]


class Request(msgspec.Struct, frozen=True, gc=False):
    """Base of all requests."""


class _Message(Request, frozen=True):
    data: msgspec.Raw = NOTHING
    b64data: str = ""
    """In place of `data`: bytes in base64 (RFC 4648 section 4)."""

    skip_history: bool = False
    tags: Mapping[str, str] | None = None
    idempotency_key: str = ""
    delta: bool = False
    """Taken and not needed: where a room has deltas, all that ask for them get them."""

    version: int = 0
    """Versions are not compared: a request that relies on it is refused."""


class PublishRequest(_Message, frozen=True):
    """Publish in a channel."""

    channel: str = ""


class BroadcastRequest(_Message, frozen=True):
    """Publish the same in several channels."""

    channels: Annotated[list[str], msgspec.Meta(max_length=MAX_CHANNELS)] = []


class ChannelRequest(Request, frozen=True):
    """About one channel and nothing else."""

    channel: str = ""


class HistoryRequest(ChannelRequest, frozen=True):
    """Read a channel's history: `limit` 0 asks for the position alone, a negative one for all."""

    limit: int = 0
    since: StreamPosition | None = None
    reverse: bool = False


class HistoryEraseRequest(ChannelRequest, frozen=True):
    """Take one publication out of a channel's history; without `epoch` in its present one."""

    offset: int = 0
    epoch: str = ""


class ChannelsRequest(Request, frozen=True):
    """Ask which channels have subscribers."""

    pattern: str = ""


class InfoRequest(Request, frozen=True):
    """Ask about the nodes."""


class _UserRequest(Request, frozen=True):
    user: str = ""


class _TargetRequest(_UserRequest, frozen=True):
    client: str = ""
    session: str = ""


class BoolValue(msgspec.Struct, frozen=True):
    """True or false, where a missing one is neither."""

    value: bool = False


class Override(msgspec.Struct, frozen=True):
    """What a subscription has in place of its channel's options."""

    presence: BoolValue | None = None
    join_leave: BoolValue | None = None
    force_push_join_leave: BoolValue | None = None
    force_positioning: BoolValue | None = None
    force_recovery: BoolValue | None = None

    @property
    def options(self) -> dict[str, bool]:
        """Those that are given, by their names."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: one.value for name, one in given.items() if one is not None}


class SubscribeRequest(_TargetRequest, frozen=True):
    """Subscribe a user's connections to a channel."""

    channel: str = ""
    info: msgspec.Raw = NOTHING
    b64info: str = ""
    data: msgspec.Raw = NOTHING
    b64data: str = ""
    recover_since: StreamPosition | None = None
    expire_at: Time = 0
    override: Override | None = None


class UnsubscribeRequest(_TargetRequest, frozen=True):
    """Take a user's connections out of a channel."""

    channel: str = ""


class DisconnectReason(msgspec.Struct, frozen=True):
    """How a connection ends."""

    code: int = 0
    reason: str = ""


class DisconnectRequest(_TargetRequest, frozen=True):
    """End a user's connections, but for the clients in `whitelist`."""

    whitelist: list[str] = []
    disconnect: DisconnectReason | None = None


class RefreshRequest(_TargetRequest, frozen=True):
    """Prolong a user's connections, or have them expire."""

    expired: bool = False
    expire_at: Time = 0


class ConnectionsRequest(_UserRequest, frozen=True):
    """Ask for a user's connections."""

    expression: str = ""


class BlockUserRequest(_UserRequest, frozen=True):
    """Let a user in no more."""

    expire_at: Time = 0


class UnblockUserRequest(_UserRequest, frozen=True):
    """Let the user in again."""


class RevokeTokenRequest(Request, frozen=True):
    """A token is good no more; `uid` is its `jti`."""

    uid: str = ""
    expire_at: Time = 0


class InvalidateUserTokensRequest(_UserRequest, frozen=True):
    """A user's tokens are good no more; with `channel`, only those that subscribe to it."""

    issued_before: Time = 0
    channel: str = ""
    expire_at: Time = 0


class BatchRequest(Request, frozen=True):
    """Several requests, each an object with the method's name and the request."""

    commands: list[dict[str, msgspec.Raw]] = []
    parallel: bool = False
