"""The numbers of the protocol's fields. `client.proto` says the same for readers; a test compares the two."""

from typing import Final

from hubbub.centrifuge import requests, results
from hubbub.centrifuge.errors import ClientError
from hubbub.centrifuge.protobuf_wire import Field, Fields, Kind, Tables
from hubbub.centrifuge.requests import Request, StreamPosition
from hubbub.centrifuge.results import ChannelPublication, ClientInfo, Result

_UINT32, _UINT64, _INT32, _INT64 = Kind.UINT32, Kind.UINT64, Kind.INT32, Kind.INT64
_BOOL, _STRING, _BYTES = Kind.BOOL, Kind.STRING, Kind.BYTES


def _one(name: str, message: type[Request] | type[Result] | type[ClientError]) -> Field:
    return Field(name, Kind.MESSAGE, message)


def _many(name: str, message: type[Request] | type[Result]) -> Field:
    return Field(name, Kind.MESSAGE, message, repeated=True)


def _by_name(name: str, message: type[Request] | type[Result]) -> Field:
    return Field(name, Kind.MESSAGE_MAP, message)


_CHANNEL: Final[Fields] = {1: Field("channel", _STRING)}
_INFO: Final[Fields] = {1: _one("info", ClientInfo)}
_DATA: Final[Fields] = {1: Field("data", _BYTES)}

REQUESTS: Final[Tables] = {
    requests.Command: {
        1: Field("id", _UINT32),
        4: _one("connect", requests.ConnectRequest),
        5: _one("subscribe", requests.SubscribeRequest),
        6: _one("unsubscribe", requests.UnsubscribeRequest),
        7: _one("publish", requests.PublishRequest),
        8: _one("presence", requests.PresenceRequest),
        9: _one("presence_stats", requests.PresenceStatsRequest),
        10: _one("history", requests.HistoryRequest),
        11: _one("ping", requests.PingRequest),
        12: _one("send", requests.SendRequest),
        13: _one("rpc", requests.RpcRequest),
        14: _one("refresh", requests.RefreshRequest),
        15: _one("sub_refresh", requests.SubRefreshRequest),
    },
    requests.ConnectRequest: {
        1: Field("token", _STRING),
        2: Field("data", _BYTES),
        3: _by_name("subs", requests.SubscribeRequest),
        4: Field("name", _STRING),
        5: Field("version", _STRING),
        6: Field("headers", Kind.STRING_MAP),
    },
    requests.SubscribeRequest: {
        1: Field("channel", _STRING),
        2: Field("token", _STRING),
        3: Field("recover", _BOOL),
        6: Field("epoch", _STRING),
        7: Field("offset", _UINT64),
        8: Field("data", _BYTES),
        9: Field("positioned", _BOOL),
        10: Field("recoverable", _BOOL),
        11: Field("join_leave", _BOOL),
        12: Field("delta", _STRING),
        13: _one("tf", requests.FilterNode),
        14: Field("flag", _INT64),
        15: Field("type", _INT32),
    },
    requests.UnsubscribeRequest: _CHANNEL,
    requests.PublishRequest: {
        1: Field("channel", _STRING),
        2: Field("data", _BYTES),
        3: Field("type", _INT32),
    },
    requests.PresenceRequest: _CHANNEL,
    requests.PresenceStatsRequest: _CHANNEL,
    requests.HistoryRequest: {
        1: Field("channel", _STRING),
        7: Field("limit", _INT32),
        8: _one("since", StreamPosition),
        9: Field("reverse", _BOOL),
    },
    requests.PingRequest: {},
    requests.SendRequest: _DATA,
    requests.RpcRequest: {1: Field("data", _BYTES), 2: Field("method", _STRING)},
    requests.RefreshRequest: {1: Field("token", _STRING)},
    requests.SubRefreshRequest: {
        1: Field("channel", _STRING),
        2: Field("token", _STRING),
        3: Field("type", _INT32),
    },
    StreamPosition: {1: Field("offset", _UINT64), 2: Field("epoch", _STRING)},
    requests.FilterNode: {
        1: Field("op", _STRING),
        2: Field("key", _STRING),
        3: Field("cmp", _STRING),
        4: Field("val", _STRING),
        5: Field("vals", _STRING, repeated=True),
        6: _many("nodes", requests.FilterNode),
    },
}
"""What is read."""

RESULTS: Final[Tables] = {
    results.Reply: {
        1: Field("id", _UINT32),
        2: _one("error", ClientError),
        4: _one("push", results.Push),
        5: _one("connect", results.ConnectResult),
        6: _one("subscribe", results.SubscribeResult),
        7: _one("unsubscribe", results.UnsubscribeResult),
        8: _one("publish", results.PublishResult),
        9: _one("presence", results.PresenceResult),
        10: _one("presence_stats", results.PresenceStatsResult),
        11: _one("history", results.HistoryResult),
        12: _one("ping", results.PingResult),
        13: _one("rpc", results.RpcResult),
        14: _one("refresh", results.RefreshResult),
        15: _one("sub_refresh", results.SubRefreshResult),
    },
    ClientError: {1: Field("code", _UINT32), 2: Field("message", _STRING), 3: Field("temporary", _BOOL)},
    results.Push: {
        2: Field("channel", _STRING),
        4: _one("pub", ChannelPublication),
        5: _one("join", results.JoinPush),
        6: _one("leave", results.LeavePush),
        7: _one("unsubscribe", results.UnsubscribePush),
        8: _one("message", results.MessagePush),
        9: _one("subscribe", results.SubscribePush),
        10: _one("connect", results.ConnectPush),
        11: _one("disconnect", results.DisconnectPush),
        12: _one("refresh", results.RefreshPush),
    },
    ClientInfo: {
        1: Field("user", _STRING),
        2: Field("client", _STRING),
        3: Field("conn_info", _BYTES),
        4: Field("chan_info", _BYTES),
    },
    ChannelPublication: {
        4: Field("data", _BYTES),
        5: _one("info", ClientInfo),
        6: Field("offset", _UINT64),
        7: Field("tags", Kind.STRING_MAP),
        8: Field("delta", _BOOL),
        9: Field("time", _INT64),
    },
    results.JoinPush: _INFO,
    results.LeavePush: _INFO,
    results.UnsubscribePush: {2: Field("code", _UINT32), 3: Field("reason", _STRING)},
    results.MessagePush: _DATA,
    results.SubscribePush: {
        1: Field("recoverable", _BOOL),
        4: Field("epoch", _STRING),
        5: Field("offset", _UINT64),
        6: Field("positioned", _BOOL),
        7: Field("data", _BYTES),
    },
    results.ConnectPush: {
        1: Field("client", _STRING),
        2: Field("version", _STRING),
        3: Field("data", _BYTES),
        4: _by_name("subs", results.SubscribeResult),
        5: Field("expires", _BOOL),
        6: Field("ttl", _UINT32),
        7: Field("ping", _UINT32),
        8: Field("pong", _BOOL),
        9: Field("session", _STRING),
        10: Field("node", _STRING),
    },
    results.DisconnectPush: {
        1: Field("code", _UINT32),
        2: Field("reason", _STRING),
        3: Field("reconnect", _BOOL),
    },
    results.RefreshPush: {1: Field("expires", _BOOL), 2: Field("ttl", _UINT32)},
    results.ConnectResult: {
        1: Field("client", _STRING),
        2: Field("version", _STRING),
        3: Field("expires", _BOOL),
        4: Field("ttl", _UINT32),
        5: Field("data", _BYTES),
        6: _by_name("subs", results.SubscribeResult),
        7: Field("ping", _UINT32),
        8: Field("pong", _BOOL),
        9: Field("session", _STRING),
        10: Field("node", _STRING),
    },
    results.SubscribeResult: {
        1: Field("expires", _BOOL),
        2: Field("ttl", _UINT32),
        3: Field("recoverable", _BOOL),
        6: Field("epoch", _STRING),
        7: _many("publications", ChannelPublication),
        8: Field("recovered", _BOOL),
        9: Field("offset", _UINT64),
        10: Field("positioned", _BOOL),
        11: Field("data", _BYTES),
        12: Field("was_recovering", _BOOL),
        13: Field("delta", _BOOL),
    },
    results.UnsubscribeResult: {},
    results.PublishResult: {},
    results.PingResult: {},
    results.PresenceResult: {1: _by_name("presence", ClientInfo)},
    results.PresenceStatsResult: {1: Field("num_clients", _UINT32), 2: Field("num_users", _UINT32)},
    results.HistoryResult: {
        1: _many("publications", ChannelPublication),
        2: Field("epoch", _STRING),
        3: Field("offset", _UINT64),
    },
    results.RpcResult: _DATA,
    results.RefreshResult: {
        1: Field("client", _STRING),
        2: Field("version", _STRING),
        3: Field("expires", _BOOL),
        4: Field("ttl", _UINT32),
    },
    results.SubRefreshResult: {1: Field("expires", _BOOL), 2: Field("ttl", _UINT32)},
}
"""What is written."""
