"""A room's log: what it keeps, and that a position never lies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.errors import ConfigurationError, HistoryGone
from hubbub.core.history import History, HistoryLog, HistoryStore
from hubbub.core.messages import Publication, payload_bytes
from hubbub.core.positions import Position

KEEP = History(size=3, ttl=60.0)


def log_of(*payloads: str, history: History = KEEP, start: float = 0.0) -> HistoryLog:
    log = HistoryLog("e")
    for number, payload in enumerate(payloads):
        log.append(Publication("r", payload, start + number), history)
    return log


def payloads(publications: list[Publication]) -> list[object]:
    return [one.payload for one in publications]


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": -1}, {"ttl": 0}, {"ttl": -0.1}])
def test_a_history_without_size_or_ttl_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        History(**wrong)


def test_offsets_count_from_one() -> None:
    log = HistoryLog("e")
    assert log.position == Position("e", 0)
    published = log.append(Publication("r", "a", 0.0, publisher="ada"), KEEP)
    assert (published.position, published.publisher) == (Position("e", 1), "ada")
    assert log.position == Position("e", 1)


def test_the_oldest_make_way_when_there_are_too_many() -> None:
    log = log_of("a", "b", "c", "d")
    assert (len(log), log.bytes, log.top) == (3, 3, 4)
    assert payloads(log.newest()) == ["d", "c", "b"]
    assert payloads(log.newest(2)) == ["d", "c"]
    assert log.newest(0) == []


def test_since_works_up_to_both_edges_of_the_window() -> None:
    log = log_of("a", "b", "c", "d")  # holds offsets 2, 3 and 4
    assert payloads(log.since(Position("e", 4))) == []
    assert payloads(log.since(Position("e", 3))) == ["d"]
    assert payloads(log.since(Position("e", 1))) == ["b", "c", "d"]
    assert payloads(log.since(Position("e", 1), limit=2)) == ["b", "c"]


@pytest.mark.parametrize(
    "position",
    [Position("e", 0), Position("e", 5), Position("e", -1), Position("other", 4), Position("other", 0)],
)
def test_since_beyond_the_window_is_gone_and_never_a_part(position: Position) -> None:
    with pytest.raises(HistoryGone):
        log_of("a", "b", "c", "d").since(position)


def test_since_the_beginning_is_whole_while_nothing_was_dropped() -> None:
    assert payloads(log_of("a", "b", "c").since(Position("e", 0))) == ["a", "b", "c"]
    assert HistoryLog("e").since(Position("e", 0)) == []


def test_what_is_too_old_is_forgotten_and_the_position_stays() -> None:
    log = log_of("a", "b", "c")
    log.expire(before=1.0)
    assert payloads(log.newest()) == ["c", "b"]
    log.expire(before=100.0)
    assert (len(log), log.bytes, log.position) == (0, 0, Position("e", 3))
    assert log.since(Position("e", 3)) == []
    with pytest.raises(HistoryGone):
        log.since(Position("e", 2))


def test_appending_forgets_what_is_older_than_the_ttl() -> None:
    log = log_of("a", "b", history=History(size=9, ttl=10.0))
    log.append(Publication("r", "c", 11.0), History(size=9, ttl=10.0))
    assert payloads(log.newest()) == ["c", "b"]


def test_each_room_of_a_store_has_its_own_epoch() -> None:
    store = HistoryStore(1_000, "e")
    for room in "aba":
        store.append(Publication(room, "x", 0.0), KEEP)
    assert store.log("a").position == Position("e.0", 2)
    assert store.log("b").position == Position("e.0", 1)
    assert len(store) == 2


def test_past_the_total_the_room_least_recently_written_loses_its_oldest() -> None:
    store = HistoryStore(10, "e")
    for room, payload in [("a", "1234"), ("b", "56"), ("a", "78"), ("b", "9"), ("c", "xyz")]:
        store.append(Publication(room, payload, 0.0), KEEP)
    assert (payloads(store.log("a").newest()), store.bytes) == (["78"], 8)
    assert payloads(store.log("b").newest()) == ["9", "56"]
    with pytest.raises(HistoryGone):
        store.log("a").since(Position("e.0", 0))


def test_the_newest_publication_stays_even_when_it_alone_is_over_the_total() -> None:
    store = HistoryStore(10, "e")
    store.append(Publication("a", "1", 0.0), KEEP)
    store.append(Publication("b", "x" * 20, 0.0), KEEP)
    assert payloads(store.log("b").newest()) == ["x" * 20]
    store.append(Publication("b", "y", 0.0), KEEP)
    assert (payloads(store.log("b").newest()), store.bytes) == (["y"], 1)


def test_a_store_forgets_what_is_too_old_when_it_is_read() -> None:
    store = HistoryStore(100, "e")
    store.append(Publication("a", "12345", 0.0), KEEP)
    assert len(store.expire("a", before=1.0)) == 0
    assert store.bytes == 0


steps = st.lists(st.tuples(st.sampled_from("abc"), st.text("xé", max_size=8)), max_size=50)


@given(steps, st.integers(1, 40), st.integers(1, 5))
def test_the_bound_holds_and_what_is_left_is_the_end_of_what_came(
    written: list[tuple[str, str]], max_bytes: int, size: int
) -> None:
    store = HistoryStore(max_bytes, "e")
    came: dict[str, list[str]] = {}
    for time, (room, payload) in enumerate(written):
        store.append(Publication(room, payload, float(time)), History(size=size, ttl=1e9))
        came.setdefault(room, []).append(payload)
        assert store.bytes <= max(max_bytes, payload_bytes(payload))
    assert store.bytes == sum(store.log(room).bytes for room in came)
    for room, all_of_it in came.items():
        log = store.log(room)
        left = payloads(log.newest()[::-1])
        assert left == all_of_it[len(all_of_it) - len(left) :]
        assert payloads(log.since(Position("e.0", log.top - len(left)))) == left
        if len(left) < len(all_of_it):
            with pytest.raises(HistoryGone):
                log.since(Position("e.0", log.top - len(left) - 1))


def test_a_room_that_is_only_read_takes_no_place() -> None:
    store = HistoryStore(100, "e")
    for number in range(10):
        assert store.position(f"room{number}") == Position("e.0", 0)
    assert len(store) == 0


def test_past_the_rooms_the_one_least_recently_written_is_forgotten_and_comes_back_with_a_new_epoch() -> None:
    store = HistoryStore(100, "e", max_rooms=2)
    for room in "abc":
        store.append(Publication(room, "x", 0.0), KEEP)
    assert (len(store), store.bytes) == (2, 2)
    assert store.position("b") == Position("e.0", 1)
    came_back = store.append(Publication("a", "y", 0.0), KEEP)
    assert came_back.position == Position("e.1", 1)
    with pytest.raises(HistoryGone):
        store.log("a").since(Position("e.0", 1))


def test_a_cleared_room_forgets_its_publications_and_not_its_place() -> None:
    store = HistoryStore(100, "e")
    last = [store.append(Publication("a", "x", 0.0), KEEP) for _ in range(3)][-1]
    store.clear("a")
    assert (store.bytes, store.position("a")) == (0, last.position)
    assert store.log("a").since(Position("e.0", 3)) == []
    with pytest.raises(HistoryGone):
        store.log("a").since(Position("e.0", 2))


def test_a_log_stays_within_its_bytes() -> None:
    store = HistoryStore(100, "e")
    for payload in ("aaaa", "bbbb", "cc"):
        store.append(Publication("a", payload, 0.0), History(bytes=6))
    assert payloads(store.log("a").newest()) == ["cc", "bbbb"]


def test_what_behaves_like_a_number_becomes_one() -> None:
    class Seconds(float):
        """As numbers of other libraries are."""

    history = History(size=True, ttl=Seconds(5), bytes=7)
    assert [type(one) for one in (history.size, history.ttl, history.bytes)] == [int, float, int]
