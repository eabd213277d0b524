"""What a client gets between the answer that subscribes it and the reply that says so."""

import json

import pytest

from hubbub.centrifuge.actions import DeltaState, GoLive
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.core.messages import Publication
from hubbub.core.positions import Position
from hubbub.gateway.held import catch_up

LIVE = GoLive("r", Position("e", 5))


def published(*offsets: int) -> list[Publication]:
    return [Publication("r", f"{offset}", 0.0, Position("e", offset)) for offset in offsets]


@pytest.mark.parametrize("delta", [DeltaState.NONE, DeltaState.EMPTY, DeltaState.READY])
def test_what_was_published_meanwhile_is_pushed_whole_and_the_position_follows(delta: DeltaState) -> None:
    live = GoLive("r", Position("e", 5), delta)
    later, pushes, gap = catch_up(JSON_CODEC, live, published(6, 7), Position("e", 7))
    assert [json.loads(line)["push"]["pub"]["offset"] for line in pushes.splitlines()] == [6, 7]
    assert (later.position, gap) == (Position("e", 7), None)
    assert later.delta is (DeltaState.NONE if delta is DeltaState.NONE else DeltaState.READY)


@pytest.mark.parametrize("now", [Position("e", 8), Position("other", 7), Position("e", 6)])
def test_where_some_of_it_is_missing_nothing_is_pushed_and_the_gap_is_told(now: Position) -> None:
    assert catch_up(JSON_CODEC, LIVE, published(6, 7), now) == (LIVE, b"", now)


def test_without_a_history_there_is_nothing_to_catch_up_with() -> None:
    live = GoLive("r", None)
    assert catch_up(JSON_CODEC, live, [], None) == (live, b"", None)
    assert catch_up(JSON_CODEC, LIVE, [], Position("e", 5)) == (LIVE, b"", None)
