"""Commands, replies and publications of every kind, for the tests of both encodings."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from hubbub.centrifuge import results
from hubbub.centrifuge.errors import ErrorCode
from hubbub.centrifuge.publishers import name_publisher
from hubbub.centrifuge.results import ChannelPublication, ClientInfo, Push, Reply
from hubbub.core.messages import Publication, to_payload
from hubbub.core.positions import Position

DATA = msgspec.Raw(b'{"a":1}')
INFO = ClientInfo("user", "client", DATA, DATA)
PUBLICATION = ChannelPublication(DATA, INFO, 2**40, {"k": "v", "ü": ""}, True, 1_790_000_000_123)
SUBSCRIBED = results.SubscribeResult(
    expires=True,
    ttl=60,
    recoverable=True,
    epoch="e",
    publications=[PUBLICATION, ChannelPublication(DATA)],
    recovered=True,
    offset=7,
    positioned=True,
    data=DATA,
    was_recovering=True,
    delta=True,
)
CONNECTED = results.ConnectResult(
    "client", "1.0", True, 60, DATA, {"a": SUBSCRIBED, "b": results.SubscribeResult()}, 25, True, "s", "n"
)

REPLIES: list[Reply] = [
    Reply(),
    Reply(1, error=ErrorCode.INTERNAL.error),
    Reply(2**32 - 1, error=ErrorCode.BAD_REQUEST.error),
    Reply(3, connect=CONNECTED),
    Reply(4, subscribe=SUBSCRIBED),
    Reply(5, unsubscribe=results.UnsubscribeResult()),
    Reply(6, publish=results.PublishResult()),
    Reply(7, presence=results.PresenceResult({"c1": INFO, "c2": ClientInfo("", "c2")})),
    Reply(8, presence_stats=results.PresenceStatsResult(2, 1)),
    Reply(9, history=results.HistoryResult([PUBLICATION], "e", 9)),
    Reply(10, ping=results.PingResult()),
    Reply(11, rpc=results.RpcResult(DATA)),
    Reply(12, refresh=results.RefreshResult("client", "1.0", True, 60)),
    Reply(13, sub_refresh=results.SubRefreshResult(True, 60)),
    Reply(push=Push("c", PUBLICATION)),
    Reply(push=Push("c", join=results.JoinPush(INFO))),
    Reply(push=Push("c", leave=results.LeavePush(INFO))),
    Reply(push=Push("c", unsubscribe=results.UnsubscribePush(2500, "insufficient state"))),
    Reply(push=Push(message=results.MessagePush(DATA))),
    Reply(push=Push("c", subscribe=results.SubscribePush(True, "e", 5, True, DATA))),
    Reply(
        push=Push(connect=results.ConnectPush("client", "1.0", DATA, {"a": SUBSCRIBED}, True, 60, 25, True))
    ),
    Reply(push=Push(disconnect=results.DisconnectPush(3001, "shutdown", True))),
    Reply(push=Push(refresh=results.RefreshPush(True, 60))),
]

COMMANDS: list[dict[str, Any]] = [
    {},
    {"id": 1, "connect": {}},
    {
        "id": 2**32 - 1,
        "connect": {
            "token": "t",
            "data": {"a": 1},
            "subs": {"c": {"recover": True, "epoch": "e", "offset": 2**40}, "d": {}},
            "name": "js",
            "version": "1",
            "headers": {"h": "v"},
        },
    },
    {
        "id": 3,
        "subscribe": {
            "channel": "c",
            "token": "t",
            "recover": True,
            "epoch": "e",
            "offset": 2**62,
            "data": [1],
            "positioned": True,
            "recoverable": True,
            "join_leave": True,
            "delta": "fossil",
            "tf": {"op": "and", "nodes": [{"key": "k", "cmp": "in", "val": "v", "vals": ["a", "b"]}]},
            "flag": 3,
        },
    },
    {"id": 4, "unsubscribe": {"channel": "c"}},
    {"id": 5, "publish": {"channel": "c", "data": "ü"}},
    {"id": 6, "presence": {"channel": "c"}},
    {"id": 7, "presence_stats": {"channel": "c"}},
    {
        "id": 8,
        "history": {"channel": "c", "limit": -1, "since": {"offset": 5, "epoch": "e"}, "reverse": True},
    },
    {"id": 9, "ping": {}},
    {"send": {"data": 1}},
    {"id": 10, "rpc": {"data": None, "method": "m"}},
    {"id": 11, "refresh": {"token": "t"}},
    {"id": 12, "sub_refresh": {"channel": "c", "token": "t"}},
]

PAYLOADS = (
    st.text(max_size=30) | st.binary(max_size=30) | st.builds(to_payload, st.lists(st.text(max_size=5)))
)
PUBLICATIONS = st.builds(
    Publication,
    room=st.sampled_from(["chat:1", "a/b@c"]),
    payload=PAYLOADS,
    time=st.sampled_from([0.0, 1_790_000_000.1234]),
    position=st.none() | st.builds(Position, epoch=st.just("e"), offset=st.integers(1, 2**62)),
    publisher=st.none() | st.just("ann") | st.just(name_publisher(ClientInfo("u", "c", msgspec.Raw(b"[1]")))),
    tags=st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)


def plain(value: Any) -> Any:
    """A command with its payloads as bytes, to compare: two `Raw` are equal only if they are the same."""
    if isinstance(value, msgspec.Raw):
        return bytes(value)
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
