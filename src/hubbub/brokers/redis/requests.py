"""What is asked of a server, packed as it goes on the wire: names and options of a publish only once."""

import msgspec

from hubbub.brokers.redis.keys import Keys
from hubbub.brokers.redis.link import bulk
from hubbub.brokers.redis.scripts import META_TTL, Script, Scripts
from hubbub.core.history import History
from hubbub.core.messages import Payload, payload_bytes
from hubbub.core.positions import Position

MAX_REMEMBERED = 4_096
"""Rooms whose packed names are remembered, and histories whose packed options are."""

ALL = 1_000_000_000
"""More publications than any room keeps."""

_NOWHERE = bulk(b"", b"0")


class Request(msgspec.Struct, frozen=True, gc=False):
    """The call of a script."""

    channel: bytes
    """The channel of the room; it lives where the room lives."""

    script: Script
    head: bytes
    """The packed beginning, for a server that knows the script."""

    parts: int
    """Parts after the script's name."""

    data: bytes
    """These parts, packed."""

    def by_text(self) -> bytes:
        """The call for a server that does not know the script."""
        return self.script.by_text(self.parts) + self.data


class Requests:
    """Makes the calls of the scripts.

    Args:
        keys: how rooms are named.
        scripts: the scripts.
        epoch: what the epochs begin with that begin by one of these calls; no other node may use the same.
    """

    def __init__(self, keys: Keys, scripts: Scripts, epoch: str) -> None:
        self._keys = keys
        self._scripts = scripts
        self._epoch = bulk(epoch.encode())
        self._names: dict[str, tuple[bytes, bytes, bytes]] = {}
        self._options: dict[History, bytes] = {}
        self._publish = scripts.publish.by_name(14)
        self._publish_keyed = scripts.publish.by_name(15)

    def position(self, room: str, known: Position | None) -> Request:
        """Ask where a room stands; `known` is how far it is known to have come."""
        names = bulk(b"2", self._keys.meta(room), self._keys.log(room))
        return self._request(room, self._scripts.position, 6, names + self._epoch + _place(known))

    def publish(
        self,
        room: str,
        known: Position | None,
        payload: Payload,
        envelope: bytes,
        stamp: bytes,
        history: History,
        idempotency_key: str | None,
    ) -> Request:
        """Keep and send a publication."""
        names, packed_channel, channel = self._named(room)
        head, parts = self._publish, 14
        if idempotency_key is not None:
            once = self._keys.once(room, idempotency_key)
            names = bulk(b"3", self._keys.meta(room), self._keys.log(room), once)
            head, parts = self._publish_keyed, 15
        size = b"%d" % payload_bytes(payload)
        data = b"%b%b%b%b$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b" % (
            names,
            self._epoch,
            _NOWHERE if known is None else _place(known),
            packed_channel,
            len(envelope),
            envelope,
            len(stamp),
            stamp,
            len(size),
            size,
            self._bounds(history),
        )
        return Request(channel, self._scripts.publish, head, parts, data)

    def publish_once(self, room: str, envelope: bytes, stamp: bytes, idempotency_key: str) -> Request:
        """Send a publication of a room without history, if that key has sent none."""
        once = self._keys.once(room, idempotency_key)
        data = bulk(b"1", once, self._keys.channel(room), envelope, stamp)
        return self._request(room, self._scripts.publish_once, 5, data)

    def read(
        self,
        room: str,
        known: Position | None,
        since: Position | None,
        limit: int | None,
        reverse: bool,
        before: float,
    ) -> Request:
        """Read what a room keeps."""
        count = ALL if limit is None else limit
        arguments = (
            b"" if since is None else since.epoch.encode("utf-8", "replace"),
            b"0" if since is None else b"%d" % max(0, since.offset),
            b"%d" % (count if since is None else max(1, count)),
            b"%d" % reverse,
            repr(before).encode(),
        )
        data = self._with_erased(room) + self._epoch + _place(known) + bulk(*arguments)
        return self._request(room, self._scripts.read, 12, data)

    def erase(self, room: str, known: Position | None, history: History, position: Position) -> Request:
        """Take a publication out of what a room keeps."""
        arguments = (
            position.epoch.encode("utf-8", "replace"),
            b"%d" % max(0, position.offset),
            b"%d" % history.size,
            b"%d" % max(1, int(history.ttl * 1000)),
        )
        data = self._with_erased(room) + self._epoch + _place(known) + bulk(*arguments)
        return self._request(room, self._scripts.erase, 11, data)

    def _with_erased(self, room: str) -> bytes:
        return bulk(b"3", self._keys.meta(room), self._keys.log(room), self._keys.erased(room))

    def _request(self, room: str, script: Script, parts: int, data: bytes) -> Request:
        return Request(self._keys.channel(room), script, script.by_name(parts), parts, data)

    def _named(self, room: str) -> tuple[bytes, bytes, bytes]:
        named = self._names.get(room)
        if named is None:
            if len(self._names) >= MAX_REMEMBERED:
                self._names.clear()
            names = bulk(b"2", self._keys.meta(room), self._keys.log(room))
            channel = self._keys.channel(room)
            named = self._names[room] = (names, bulk(channel), channel)
        return named

    def _bounds(self, history: History) -> bytes:
        bounds = self._options.get(history)
        if bounds is None:
            if len(self._options) >= MAX_REMEMBERED:
                self._options.clear()
            lifetime = max(1, int(history.ttl * 1000))
            amounts = (history.size, history.bytes, lifetime, max(lifetime, META_TTL * 1000))
            bounds = bulk(*[b"%d" % amount for amount in amounts])
            self._options[history] = bounds
        return bounds


def _place(known: Position | None) -> bytes:
    return _NOWHERE if known is None else bulk(known.epoch.encode(), b"%d" % known.offset)
