"""What a client says: one `Command` with one request in it.

Payload fields are `msgspec.Raw`: JSON text in the JSON encoding, bytes in the protobuf one. A codec's
`extract` makes a payload of them. Fields for what is not spoken here (maps, shared polls, dictionaries) are
left out and ignored.
"""

from collections.abc import Mapping
from typing import Annotated, Final, TypeAlias

import msgspec

NOTHING: Final = msgspec.Raw(b"")
"""A payload field that was not set."""

Uint32: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Offset: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

COMPACTION: Final = 1
"""Bit of `SubscribeRequest.flag`: the client would take a number for the channel's name. Not offered here."""

REJECT_UNRECOVERED: Final = 2
"""Bit of `SubscribeRequest.flag`: answer 112 rather than ``recovered: false``."""


class Request(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of all requests."""


class ChannelRequest(Request, frozen=True):
    """Base of the requests about one channel."""

    channel: str = ""


class FilterNode(Request, frozen=True):
    """A condition on a publication's tags: a comparison, or `op` over `nodes`."""

    op: str = ""
    key: str = ""
    cmp: str = ""
    val: str = ""
    vals: tuple[str, ...] = ()
    nodes: tuple["FilterNode", ...] = ()


class StreamPosition(Request, frozen=True):
    """A position as a client writes it; an empty `epoch` stands for any."""

    offset: Offset = 0
    epoch: str = ""


class SubscribeRequest(ChannelRequest, frozen=True):
    """Become a subscriber of `channel`; with `recover`, get what came after `epoch` and `offset`."""

    token: str = ""
    recover: bool = False
    epoch: str = ""
    offset: Offset = 0
    data: msgspec.Raw = NOTHING
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: str = ""
    tf: FilterNode | None = None
    flag: int = 0
    type: Int32 = 0


class ConnectRequest(Request, frozen=True):
    """The first command. `subs` tells where the client stands in its server-side subscriptions."""

    token: str = ""
    data: msgspec.Raw = NOTHING
    subs: Mapping[str, SubscribeRequest] = {}
    name: str = ""
    version: str = ""
    headers: Mapping[str, str] = {}


class UnsubscribeRequest(ChannelRequest, frozen=True):
    """Leave a channel."""


class PublishRequest(ChannelRequest, frozen=True):
    """Publish in a channel."""

    data: msgspec.Raw = NOTHING
    type: Int32 = 0


class PresenceRequest(ChannelRequest, frozen=True):
    """Ask who is in a channel."""


class PresenceStatsRequest(ChannelRequest, frozen=True):
    """Ask how many are in a channel."""


class HistoryRequest(ChannelRequest, frozen=True):
    """Read a channel's history: `limit` 0 asks for the position alone, a negative one for all."""

    limit: Int32 = 0
    since: StreamPosition | None = None
    reverse: bool = False


class PingRequest(Request, frozen=True):
    """Ask for an answer. The heartbeat is an empty command instead."""


class SendRequest(Request, frozen=True):
    """A message without a reply."""

    data: msgspec.Raw = NOTHING


class RpcRequest(Request, frozen=True):
    """Call a method of the application."""

    data: msgspec.Raw = NOTHING
    method: str = ""


class RefreshRequest(Request, frozen=True):
    """Bring a new token for the connection."""

    token: str = ""


class SubRefreshRequest(ChannelRequest, frozen=True):
    """Bring a new token for a subscription."""

    token: str = ""
    type: Int32 = 0


class Command(Request, frozen=True):
    """A request; the first set one counts. All but `send` have an `id` above 0. An empty one is a pong."""

    id: Uint32 = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: PresenceRequest | None = None
    presence_stats: PresenceStatsRequest | None = None
    history: HistoryRequest | None = None
    ping: PingRequest | None = None
    send: SendRequest | None = None
    rpc: RpcRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

    @property
    def request(self) -> Request | None:
        """The request that counts; None for an empty command, or for one that is not known here."""
        for name in _REQUESTS:
            request: Request | None = getattr(self, name)
            if request is not None:
                return request
        return None


_REQUESTS: Final = Command.__struct_fields__[1:]
