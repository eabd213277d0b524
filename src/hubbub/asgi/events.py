"""ASGI's shapes, and how a publication becomes an event that any server can send."""

from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import Any, TypeAlias

from hubbub.asgi.pump import Writer
from hubbub.core.messages import Payload, Publication, payload_bytes
from hubbub.core.outbox import Outgoing, Overflow, encode_each, size_of

# ASGI leaves the values of scopes and events open; `Any` is what the specification says.
Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]


class EventCodec:
    """Encodes a payload as a ``websocket.send`` event. One event object is shared by all members."""

    __slots__ = ()

    def encode(
        self,
        payload: Payload,
        *,
        room: str | None = None,
        key: str | None = None,
        overflow: Overflow = Overflow.DISCONNECT,
    ) -> Outgoing[Event]:
        """The event, with what an outbox has to know about it."""
        event: Event = {"type": "websocket.send"}
        if isinstance(payload, bytes):
            event["bytes"] = payload
        else:
            event["text"] = str(payload)  # for servers that want no `Json`
        return Outgoing(event, payload_bytes(payload), room, key, overflow)

    def join(self, items: list[Outgoing[Event]]) -> list[Outgoing[Event]]:
        """Events go out one by one."""
        return items

    def encode_all(
        self, publications: list[Publication], payloads: list[Payload], overflow: Overflow
    ) -> list[Outgoing[Event]]:
        """An event for each."""
        return encode_each(self, publications, payloads, overflow)

    def line_up(self, handles: Collection[Writer]) -> list[Writer]:
        """Each handle is an `EventWriter`; those of one hub have one pump."""
        return list(handles)

    def size(self, items: list[Outgoing[Event]]) -> int:
        """The bytes of the payloads."""
        return size_of(items)

    def deliver(self, line: list[Writer], items: list[Outgoing[Event]]) -> Mapping[Writer, Any]:
        """A member that turns out to be too slow is closed meanwhile; the line stays as it is."""
        if line:
            line[0].pump.deliver(line, items)
        return {}


EVENT_CODEC = EventCodec()


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of that (lower-case) name; None when there is none."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def peer_host(scope: Scope) -> str:
    """Where the client comes from, as far as the server believes; empty where it does not know."""
    client = scope.get("client")
    return str(client[0]) if client else ""
