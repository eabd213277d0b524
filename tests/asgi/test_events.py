"""Publications as ASGI events."""

import pytest

from hubbub.asgi.events import EVENT_CODEC, header
from hubbub.core.outbox import Overflow


@pytest.mark.parametrize(
    ("payload", "event", "size"),
    [
        ("é", {"type": "websocket.send", "text": "é"}, 2),
        ("", {"type": "websocket.send", "text": ""}, 0),
        (b"\x00", {"type": "websocket.send", "bytes": b"\x00"}, 1),
    ],
)
def test_a_payload_becomes_an_event_with_its_size(
    payload: str | bytes, event: dict[str, object], size: int
) -> None:
    item = EVENT_CODEC.encode(payload, room="r", key="k", overflow=Overflow.KEEP_NEWEST)
    assert (item.frame, item.size) == (event, size)
    assert (item.room, item.key, item.overflow) == ("r", "k", Overflow.KEEP_NEWEST)


def test_events_are_joined_without_being_touched() -> None:
    items = [EVENT_CODEC.encode("a"), EVENT_CODEC.encode("b")]
    assert list(EVENT_CODEC.join(items)) == items


def test_a_header_is_the_first_of_its_name() -> None:
    scope = {"headers": [(b"a", b"1"), (b"host", b"x"), (b"host", b"y")]}
    assert header(scope, b"host") == "x"
    assert header(scope, b"origin") is None
