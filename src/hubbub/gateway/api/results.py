"""What a backend is answered, with Centrifugo's names.

What clients are answered as well is in `centrifuge.results`.
"""

from collections.abc import Mapping, Sequence

import msgspec

from hubbub.centrifuge.errors import ClientError
from hubbub.centrifuge.results import Result


class Done(Result, frozen=True):
    """It happened."""


class PublishResult(Result, frozen=True):
    """Where the publication stands in the channel's history; nothing where there is none."""

    offset: int = 0
    epoch: str = ""


class HistoryEraseResult(Result, frozen=True):
    """Whether the publication was there."""

    erased: bool


class ApiError(msgspec.Struct, frozen=True, gc=False):
    """Why it did not happen; codes as in `ErrorCode`."""

    code: int
    message: str

    @classmethod
    def of(cls, error: ClientError) -> "ApiError":
        """The same as a client is told."""
        return cls(error.code, error.message)


class Response(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Either of them."""

    error: ApiError | None = None
    result: Result | None = None


class BroadcastResult(Result, frozen=True):
    """One response for each channel, in their order."""

    responses: Sequence[Response]


class ChannelInfo(Result, frozen=True):
    """How many subscribers a channel has."""

    num_clients: int


class ChannelsResult(Result, frozen=True):
    """The channels with subscribers."""

    channels: Mapping[str, ChannelInfo]


class NodeInfo(Result, frozen=True):
    """A node. `uptime` is in seconds."""

    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_subs: int
    num_channels: int
    uptime: int


class InfoResult(Result, frozen=True):
    """All nodes."""

    nodes: Sequence[NodeInfo]


class TokenInfo(Result, frozen=True):
    """A token's `jti` and `iat`."""

    uid: str = ""
    issued_at: int = 0


class ConnectionState(Result, frozen=True):
    """Where a connection is subscribed, and with what it came."""

    channels: Mapping[str, Done] = {}
    connection_token: TokenInfo | None = None
    subscription_tokens: Mapping[str, TokenInfo] = {}


class ConnectionInfo(Result, frozen=True):
    """One connection."""

    transport: str
    protocol: str
    app_name: str = ""
    app_version: str = ""
    user: str = ""
    state: ConnectionState | None = None


class ConnectionsResult(Result, frozen=True):
    """Connections, by the client's id."""

    connections: Mapping[str, ConnectionInfo]
