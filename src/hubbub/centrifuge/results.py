"""What the server says: a `Reply` with the result of a command, or with a push.

Fields that hold nothing are left out of JSON, but for those that SDKs read without looking. Payload fields
are `msgspec.Raw`, made by a codec's `embed`.
"""

from collections.abc import Mapping, Sequence

import msgspec

from hubbub.centrifuge.errors import ClientError
from hubbub.centrifuge.requests import NOTHING


class Result(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Base of all results and pushes."""


class ClientInfo(Result, frozen=True):
    """Who somebody is: in presence, joins, leaves, and as the publisher of a publication."""

    user: str
    client: str
    conn_info: msgspec.Raw = NOTHING
    chan_info: msgspec.Raw = NOTHING


class ChannelPublication(Result, frozen=True):
    """A publication as it travels."""

    data: msgspec.Raw
    info: ClientInfo | None = None
    offset: int = 0
    tags: Mapping[str, str] = {}
    delta: bool = False
    """`data` is a fossil delta against the data of the publication before."""

    time: int = 0
    """When the broker accepted it, in milliseconds since the Unix epoch."""


class SubscribeResult(Result, frozen=True):
    """How a subscription begins. `ttl` is in seconds."""

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: Sequence[ChannelPublication] = ()
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    data: msgspec.Raw = NOTHING
    was_recovering: bool = False
    delta: bool = False


class ConnectResult(Result, frozen=True):
    """How a connection begins. `ttl` and `ping` are in seconds."""

    client: str
    version: str = ""
    expires: bool = False
    ttl: int = 0
    data: msgspec.Raw = NOTHING
    subs: Mapping[str, SubscribeResult] = {}
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""


class UnsubscribeResult(Result, frozen=True):
    """Done."""


class PublishResult(Result, frozen=True):
    """Done."""


class PingResult(Result, frozen=True):
    """Here."""


class PresenceResult(Result, frozen=True):
    """Who is there, by client id."""

    presence: Mapping[str, ClientInfo]


class PresenceStatsResult(Result, frozen=True):
    """How many are there."""

    num_clients: int
    num_users: int


class HistoryResult(Result, frozen=True):
    """A page of history, and where the channel stood when it was read."""

    publications: Sequence[ChannelPublication]
    epoch: str
    offset: int


class RpcResult(Result, frozen=True):
    """What the method returned."""

    data: msgspec.Raw = NOTHING


class RefreshResult(Result, frozen=True):
    """How long the connection may last, in seconds."""

    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class SubRefreshResult(Result, frozen=True):
    """How long the subscription may last, in seconds."""

    expires: bool = False
    ttl: int = 0


class JoinPush(Result, frozen=True):
    """Somebody has come into the channel."""

    info: ClientInfo


class LeavePush(Result, frozen=True):
    """Somebody has left the channel."""

    info: ClientInfo


class UnsubscribePush(Result, frozen=True):
    """The server has ended the subscription; an SDK comes back after code 2500 and above."""

    code: int
    reason: str = ""


class MessagePush(Result, frozen=True):
    """A message to this client alone."""

    data: msgspec.Raw


class SubscribePush(Result, frozen=True):
    """The server has subscribed the client."""

    recoverable: bool = False
    epoch: str = ""
    offset: int = 0
    positioned: bool = False
    data: msgspec.Raw = NOTHING


class ConnectPush(Result, frozen=True):
    """How a connection begins for a client that sends no commands; not used by a `Session`."""

    client: str
    version: str = ""
    data: msgspec.Raw = NOTHING
    subs: Mapping[str, SubscribeResult] = {}
    expires: bool = False
    ttl: int = 0
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""


class DisconnectPush(Result, frozen=True):
    """The connection ends, on a transport that cannot say why by itself."""

    code: int
    reason: str = ""
    reconnect: bool = False


class RefreshPush(Result, frozen=True):
    """The server has prolonged the connection; `ttl` is in seconds."""

    expires: bool = False
    ttl: int = 0


class Push(Result, frozen=True):
    """Something that no command asked for."""

    channel: str = ""
    pub: ChannelPublication | None = None
    join: JoinPush | None = None
    leave: LeavePush | None = None
    unsubscribe: UnsubscribePush | None = None
    message: MessagePush | None = None
    subscribe: SubscribePush | None = None
    connect: ConnectPush | None = None
    disconnect: DisconnectPush | None = None
    refresh: RefreshPush | None = None


class Reply(Result, frozen=True):
    """The answer to the command with that `id`, or a push when there is none. An empty one is a ping."""

    id: int = 0
    error: ClientError | None = None
    push: Push | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: UnsubscribeResult | None = None
    publish: PublishResult | None = None
    presence: PresenceResult | None = None
    presence_stats: PresenceStatsResult | None = None
    history: HistoryResult | None = None
    ping: PingResult | None = None
    rpc: RpcResult | None = None
    refresh: RefreshResult | None = None
    sub_refresh: SubRefreshResult | None = None

    @property
    def has_its_place(self) -> bool:
        """Whether publications must not overtake it, nor be overtaken by it.

        Not so for the answers that a client knows by their `id` and that say nothing of where it stands in a
        channel.
        """
        if not self.id:
            return True
        return (self.connect or self.subscribe or self.unsubscribe or self.history) is not None
