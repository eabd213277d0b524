"""Deltas are understood by the decoder of another implementation, and are never longer than the data."""

import json

import pytest
from centrifuge.fossil import apply_delta
from centrifuge.fossil import checksum as other_checksum
from hypothesis import given, settings
from hypothesis import strategies as st

from hubbub.centrifuge.fossil import checksum, create_delta

PIECE = st.binary(max_size=40) | st.sampled_from([b"a" * 30, bytes(range(64)), b"0123456789abcdef" * 3])
DATA = st.lists(PIECE, max_size=8).map(b"".join)
TEXT = st.lists(
    st.text(max_size=12) | st.sampled_from(["äöü€" * 8, "😀😁😂" * 6, "plain text " * 4]), max_size=6
)


def other_side(source: bytes, delta: bytes | None, target: bytes) -> bytes:
    """What the other side has afterwards: it is sent the target itself where there is no delta."""
    if delta is None:
        return target
    assert len(delta) < len(target)
    made: bytes = apply_delta(source, delta)
    return made


@settings(max_examples=200, deadline=None)
@given(DATA, DATA)
def test_the_other_side_makes_the_target(source: bytes, target: bytes) -> None:
    assert other_side(source, create_delta(source, target), target) == target


@settings(max_examples=200, deadline=None)
@given(DATA, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60), st.binary(max_size=9)), max_size=4))
def test_the_other_side_makes_what_was_edited(source: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    target = source
    for start, size, inserted in edits:
        target = target[:start] + inserted + target[start + size :]
    assert other_side(source, create_delta(source, target), target) == target


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT)
def test_a_delta_of_text_is_text(source: list[str], target: list[str]) -> None:
    old, new = "".join(source).encode(), "".join([*source[1:], *target]).encode()
    delta = create_delta(old, new, text=True)
    if delta is not None:
        assert apply_delta(old, delta.decode().encode()) == new


def test_a_character_is_not_cut_apart() -> None:
    """é and è share their first byte, ü and ä, too: a delta that copied it would not be text."""
    old, new = ("x" * 40 + "é" + "y" * 40).encode(), ("x" * 40 + "è" + "y" * 40).encode()
    whole = create_delta(old, new, text=True)
    cut = create_delta(old, new)
    assert whole is not None
    assert cut is not None
    assert apply_delta(old, whole.decode().encode()) == new
    with pytest.raises(UnicodeDecodeError):
        cut.decode()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 15, 16, 17, 1000])
def test_the_checksum_is_that_of_the_other_implementation(size: int) -> None:
    data = bytes(value * 37 % 256 for value in range(size))
    assert checksum(data) == other_checksum(data)


def test_a_small_change_in_much_data_is_a_small_delta() -> None:
    old = json.dumps({"rows": [{"id": row, "price": row * 7} for row in range(500)]}).encode()
    new = old.replace(b'"price": 700}', b'"price": 701}').replace(b'"price": 2100}', b'"price": 0}')
    delta = create_delta(old, new)
    assert delta is not None
    assert len(delta) < 60
    assert apply_delta(old, delta) == new


@pytest.mark.parametrize(
    ("source", "target"), [(b"", b"abc"), (b"abc", b""), (b"", b""), (b"abc", b"abc"), (b"x" * 99, b"y" * 99)]
)
def test_there_is_no_delta_where_it_would_not_be_shorter(source: bytes, target: bytes) -> None:
    assert create_delta(source, target) is None


def test_what_is_too_long_to_search_is_sent_as_it_is() -> None:
    """Both ends are compared whatever the length, but 64 KiB is the most that is searched for moved parts."""
    moved = bytes(range(256)) * 300
    assert create_delta(b"<" + moved + b">", b"[" + moved + b"]") is None
    assert create_delta(b"<" + moved[:60_000] + b">", b"[" + moved[:60_000] + b"]") is not None
