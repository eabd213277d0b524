"""The link for subscriptions: one per server, one subscription per channel, sent in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hubbub.brokers.redis.link import Refusal, Reply, packed
from hubbub.brokers.redis.reconnecting import Locate, ReconnectingLink
from hubbub.brokers.redis.url import Settings
from hubbub.core.errors import BrokerError

BATCH = 500
"""Channels subscribed to, or left, by one command."""

_logger = logging.getLogger("hubbub")

_KINDS = {True: (b"SSUBSCRIBE", b"SUNSUBSCRIBE"), False: (b"SUBSCRIBE", b"UNSUBSCRIBE")}
_PING = packed(b"PING")
_ELSEWHERE = ("MOVED", "CLUSTERDOWN")
_MESSAGES = (b"message", b"smessage")


@dataclass(slots=True, eq=False)
class _Sent:
    """A command that was sent; the server answers for each of its channels, in order."""

    kind: bytes
    channels: deque[bytes]
    since: float  # by the event loop's clock


class Subscriptions(ReconnectingLink):
    """Knows which channels are wanted and which the server was told of, and sends the difference.

    Args:
        locate: asked before every attempt to connect.
        settings: how to get in and how long to wait; on a cluster the channels are those of a shard.
        message: called with the channel and the content of each message.
        ready: called when the link is up and all channels are subscribed to again.
        lost: called when it is down.
        moved: called when the server said that a channel lives elsewhere.
    """

    purpose = "link for subscriptions"

    def __init__(
        self,
        locate: Locate,
        settings: Settings,
        message: Callable[[bytes, bytes], None],
        ready: Callable[[], None],
        lost: Callable[[], None],
        moved: Callable[[], None],
    ) -> None:
        super().__init__(locate, settings, ready, lost)
        self._message = message
        self._moved = moved
        self._subscribe, self._unsubscribe = _KINDS[settings.cluster]
        self._batch = 1 if settings.cluster else BATCH  # channels of one command must share a slot
        self._wanted: dict[bytes, asyncio.Future[None]] = {}
        self._told: dict[bytes, _Sent | None] = {}  # subscribed by this command; None once acknowledged
        self._changed: dict[bytes, None] = {}  # in order: where wanted and told may differ
        self._sent: deque[_Sent] = deque()
        self._returning = False
        self._ping_due = False

    @property
    def channels(self) -> list[bytes]:
        """The channels that are wanted."""
        return list(self._wanted)

    def want(self, channel: bytes) -> asyncio.Future[None]:
        """Subscribe; the future ends when the server has acknowledged.

        It fails with `BrokerError` if the server refuses, or if the channel is dropped meanwhile. A loss of
        the link does not end it: the channel is subscribed to when the link is back.
        """
        acknowledged = self._wanted.get(channel)
        if acknowledged is None:
            acknowledged = self._wanted[channel] = asyncio.get_running_loop().create_future()
            if channel in self._told and self._told[channel] is None:
                acknowledged.set_result(None)
            else:
                self._change(channel)
        return acknowledged

    def drop(self, channel: bytes) -> None:
        """Unsubscribe. What is wanted later stays wanted."""
        acknowledged = self._wanted.pop(channel, None)
        if acknowledged is not None:
            _fail(acknowledged, BrokerError("the room was unsubscribed from meanwhile"))
            self._change(channel)

    def again(self) -> None:
        """Send what the server did not take, now that somebody knows better where it belongs."""
        self._returning = True
        for channel in self._wanted:
            if channel not in self._told:
                self._change(channel)
        self._check_ready()

    def _change(self, channel: bytes) -> None:
        self._changed[channel] = None
        self._wake.set()

    def _opened(self) -> None:
        self._returning = True
        self._changed = dict.fromkeys(self._wanted)
        self._wake.set()
        if not self._wanted:
            self._check_ready()

    def _closed(self, error: BrokerError) -> None:
        self._told.clear()
        self._sent.clear()
        self._changed.clear()
        self._ping_due = False

    def _take(self) -> bytes:
        """The commands for what has changed: last come the subscriptions, each batch a command."""
        changed, self._changed = self._changed, {}
        come = [one for one in changed if one in self._wanted and one not in self._told]
        gone = [one for one in changed if one not in self._wanted and one in self._told]
        for channel in gone:
            del self._told[channel]
        pieces = [*self._packed(self._unsubscribe, gone), *self._packed(self._subscribe, come)]
        if self._ping_due:
            self._ping_due = False
            self._sent.append(_Sent(b"ping", deque([b""]), asyncio.get_running_loop().time()))
            pieces.append(_PING)
        return b"".join(pieces)

    def _packed(self, kind: bytes, channels: list[bytes]) -> Iterable[bytes]:
        now = asyncio.get_running_loop().time()
        for start in range(0, len(channels), self._batch):
            batch = channels[start : start + self._batch]
            sent = _Sent(kind.lower(), deque(batch), now)
            self._sent.append(sent)
            if kind == self._subscribe:
                self._told.update(dict.fromkeys(batch, sent))
            yield packed(kind, *batch)

    def _received(self, reply: Reply) -> None:
        if isinstance(reply, Refusal):
            self._refused(reply)
            return
        if reply == b"PONG":
            reply = [b"pong", b""]
        match reply:
            case [kind, bytes(channel), bytes(data)] if kind in _MESSAGES:
                self._message(channel, data)
            case [b"pong", *_]:
                self._acknowledge(b"ping", b"")
            case [bytes(kind), bytes(channel), int()]:
                self._acknowledge(kind, channel)
            case _:
                raise BrokerError("the Redis server answered what nobody asked")

    def _acknowledge(self, kind: bytes, channel: bytes) -> None:
        sent = self._sent[0] if self._sent else None
        if sent is None or sent.kind != kind or sent.channels[0] != channel:
            self._unasked(kind, channel)
            return
        sent.channels.popleft()
        if not sent.channels:
            self._sent.popleft()
        if self._told.get(channel) is sent:
            self._told[channel] = None
            wanted = self._wanted.get(channel)
            if wanted is not None and not wanted.done():
                wanted.set_result(None)
        self._check_ready()

    def _unasked(self, kind: bytes, channel: bytes) -> None:
        """A node of a cluster ends subscriptions by itself when the channel's slot moves to another node."""
        if kind != b"sunsubscribe":
            raise BrokerError("the Redis server acknowledged what nobody asked")
        self._told.pop(channel, None)
        self._moved()

    def _refused(self, refusal: Refusal) -> None:
        if not self._sent:
            raise BrokerError(str(refusal))
        sent = self._sent.popleft()
        for channel in sent.channels:
            if self._told.get(channel) is not sent:
                continue
            del self._told[channel]
            if refusal.kind not in _ELSEWHERE:
                _logger.error("redis: a channel cannot be subscribed to: %s", refusal)
                if (acknowledged := self._wanted.pop(channel, None)) is not None:
                    _fail(acknowledged, refusal)
        if refusal.kind in _ELSEWHERE:
            self._moved()
        self._check_ready()

    def _check_ready(self) -> None:
        if self._returning and not self._sent and not self._changed:
            self._returning = False
            self._ready()

    def _ping(self) -> None:
        self._ping_due = True
        self._wake.set()

    def _owed_since(self) -> float | None:
        return self._sent[0].since if self._sent else None


def _fail(acknowledged: asyncio.Future[None], error: BrokerError) -> None:
    if not acknowledged.done():
        acknowledged.set_exception(error)
        acknowledged.exception()  # seen: who asked may have gone away
