"""Positions order within an epoch and travel as data."""

import msgspec

from hubbub.core.positions import Position


def test_positions_of_one_epoch_have_the_order_of_their_offsets() -> None:
    assert Position("e", 1) < Position("e", 2)
    assert Position("e", 2) == Position("e", 2)
    assert len({Position("e", 2), Position("e", 2), Position("f", 2)}) == 2


def test_a_position_survives_json() -> None:
    position = Position("e", 7)
    assert msgspec.json.decode(msgspec.json.encode(position), type=Position) == position
