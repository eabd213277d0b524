"""The outbox: bounded in bytes, in order, with a policy for what does not fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.errors import SlowConsumer
from hubbub.core.outbox import Outbox, Outgoing, Overflow


def item(
    frame: object,
    size: int = 10,
    room: str | None = "r",
    overflow: Overflow = Overflow.DISCONNECT,
    key: str | None = None,
) -> Outgoing[object]:
    return Outgoing(frame, size, room, key, overflow)


def frames(outbox: Outbox[object]) -> list[object]:
    taken = []
    while (one := outbox.take()) is not None:
        taken.append(one.frame)
    return taken


def test_items_leave_in_the_order_in_which_they_came() -> None:
    outbox: Outbox[object] = Outbox(100)
    for number in range(5):
        outbox.put(item(number))
    assert (len(outbox), outbox.size) == (5, 50)
    assert frames(outbox) == [0, 1, 2, 3, 4]
    assert (len(outbox), outbox.size, outbox.take()) == (0, 0, None)


def test_the_limit_is_the_last_byte_that_fits() -> None:
    outbox: Outbox[object] = Outbox(30)
    for number in range(3):
        outbox.put(item(number))
    with pytest.raises(SlowConsumer):
        outbox.put(item(3, size=1))
    assert (len(outbox), outbox.size) == (3, 30)


@pytest.mark.parametrize("overflow", Overflow)
def test_a_single_item_over_the_limit_passes_when_nothing_else_waits(overflow: Overflow) -> None:
    outbox: Outbox[object] = Outbox(30)
    assert outbox.put(item("big", size=31, overflow=overflow)) == 0
    assert frames(outbox) == ["big"]


def test_drop_oldest_makes_way_by_its_own_rooms_oldest() -> None:
    outbox: Outbox[object] = Outbox(40)
    outbox.put(item("kept"))
    outbox.put(item("other room", room="s", overflow=Overflow.DROP_OLDEST))
    outbox.put(item("old", overflow=Overflow.DROP_OLDEST))
    outbox.put(item("newer", overflow=Overflow.DROP_OLDEST))
    assert outbox.put(item("newest", size=20, overflow=Overflow.DROP_OLDEST)) == 2
    assert frames(outbox) == ["kept", "other room", "newest"]


def test_drop_oldest_that_finds_nothing_to_drop_is_dropped_itself() -> None:
    outbox: Outbox[object] = Outbox(20)
    outbox.put(item("a"))
    outbox.put(item("b", room=None))
    assert outbox.put(item("c", overflow=Overflow.DROP_OLDEST)) == 1
    assert frames(outbox) == ["a", "b"]


def test_keep_newest_holds_one_item_per_key_of_a_room() -> None:
    outbox: Outbox[object] = Outbox(100)
    newest = Overflow.KEEP_NEWEST
    dropped = [
        outbox.put(item("x1", overflow=newest, key="x")),
        outbox.put(item("y1", overflow=newest, key="y")),
        outbox.put(item("x2", overflow=newest, key="x")),
        outbox.put(item("no key 1", overflow=newest)),
        outbox.put(item("no key 2", overflow=newest)),
        outbox.put(item("x of s", room="s", overflow=newest, key="x")),
    ]
    assert dropped == [0, 0, 1, 0, 1, 0]
    assert frames(outbox) == ["y1", "x2", "no key 2", "x of s"]


def test_keep_newest_after_the_old_one_was_taken_drops_nothing() -> None:
    outbox: Outbox[object] = Outbox(100)
    outbox.put(item("x1", overflow=Overflow.KEEP_NEWEST, key="x"))
    outbox.take()
    assert outbox.put(item("x2", overflow=Overflow.KEEP_NEWEST, key="x")) == 0


def test_a_personal_message_is_never_dropped() -> None:
    outbox: Outbox[object] = Outbox(20)
    outbox.put(item("for me", room=None, overflow=Overflow.DROP_OLDEST))
    outbox.put(item("old", overflow=Overflow.DROP_OLDEST))
    assert outbox.put(item("new", overflow=Overflow.DROP_OLDEST)) == 1
    assert frames(outbox) == ["for me", "new"]


def test_clear_forgets_everything_and_the_outbox_goes_on() -> None:
    outbox: Outbox[object] = Outbox(30)
    for overflow in Overflow:
        outbox.put(item(overflow, overflow=overflow))
    assert outbox.clear() == 3
    assert (len(outbox), outbox.size) == (0, 0)
    for overflow in Overflow:
        assert outbox.put(item(overflow, overflow=overflow)) == 0


operations = st.lists(
    st.none()
    | st.builds(
        item,
        st.integers(),
        st.integers(0, 40),
        st.sampled_from([None, "r", "s"]),
        st.sampled_from(Overflow),
        st.sampled_from([None, "k"]),
    ),
    max_size=60,
)


@given(operations)
def test_nothing_is_lost_doubled_or_uncounted(steps: list[Outgoing[object] | None]) -> None:
    outbox: Outbox[object] = Outbox(100)
    put = dropped = taken = refused = 0
    for step in steps:
        if step is None:
            taken += outbox.take() is not None
            continue
        before = len(outbox)
        try:
            dropped += outbox.put(step)
            put += 1
        except SlowConsumer:
            refused += 1
            dropped += before - len(outbox)
        assert outbox.size <= 100
        assert len(outbox) == put - dropped - taken
    assert outbox.size == sum(one.size for one in iter(outbox.take, None))
    assert outbox.size == 0


def test_tiny_messages_are_bounded_by_their_number() -> None:
    outbox: Outbox[str] = Outbox(1_048_576)
    for _ in range(16_384):
        outbox.put(Outgoing("x", 1))
    with pytest.raises(SlowConsumer):
        outbox.put(Outgoing("x", 1))
    outbox.take()
    assert outbox.put(Outgoing("x", 1)) == 0
