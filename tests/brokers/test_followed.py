"""Followed rooms: whatever a link does to publications, they come in order and whole, or the loss is told."""

import asyncio
import logging
from collections.abc import Callable, Coroutine

import pytest
from followed_scene import KEEP, Log, Scene, Store
from hypothesis import given, settings
from hypothesis import strategies as st
from polling import eventually, turns

from hubbub import Position, Publication
from hubbub.brokers.followed import MAX_HELD, FollowedRooms


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.begin()
    return made


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["arrives", "arrives", "arrives", "lost", "twice", "late", "late"]),
        st.sampled_from(["look", "turn", "turns", "come in any order", "trim", "begin anew", "go back"]),
        st.sampled_from(["erase the newest", "erase another"]),
    ),
    max_size=60,
)


async def play(steps: list[str], choose: Callable[[list[Publication]], list[Publication]]) -> Scene:
    scene = Scene()
    store, rooms = scene.store, scene.rooms
    late: list[Publication] = []
    looks: list[asyncio.Task[None]] = []
    scene.begin()
    for step in steps:
        match step:
            case "arrives":
                rooms.arrived(store.publish())
            case "lost":
                store.publish()
            case "twice":
                publication = store.publish()
                rooms.arrived(publication)
                rooms.arrived(publication)
            case "late":
                late.append(store.publish())
            case "come in any order":
                for publication in choose(late):
                    rooms.arrived(publication)
                late = []
            case "look":
                looks.append(asyncio.create_task(scene.look()))
            case "turn" | "turns":
                await turns(1 if step == "turn" else 10)
            case "erase the newest" | "erase another":
                store.erase(0 if step == "erase the newest" else 2)
            case "trim":
                store.trim()
            case "begin anew":
                store.begin_anew()
            case "go back":
                await asyncio.gather(*looks)
                await turns(20)
                late = []  # the link was cut: nothing from before comes any more
                store.go_back(2)
                await scene.look()  # a link that came back is followed by a look
                await turns(20)
    await asyncio.gather(*looks)
    await turns(20)
    await scene.look()
    await scene.level()
    assert {(one.position, one.payload) for one in scene.log.delivered} <= store.accepted
    return scene


@settings(max_examples=150, deadline=None)
@given(STEPS, st.randoms(use_true_random=False))
def test_any_order_loss_and_doubling_ends_gapless_or_in_an_interruption(steps: list[str], random) -> None:  # type: ignore[no-untyped-def]
    def choose(publications: list[Publication]) -> list[Publication]:
        return random.sample(publications, len(publications))

    run(play_and_check(steps, choose))


async def play_and_check(steps: list[str], choose: Callable[[list[Publication]], list[Publication]]) -> None:
    scene = await play(steps, choose)
    if not {"trim", "begin anew", "go back"} & set(steps):
        assert scene.log.interruptions == []
        delivered = {one.position for one in scene.log.delivered}
        assert delivered | scene.store.erased == {position for position, _ in scene.store.accepted}


def run(test: Coroutine[None, None, None]) -> None:
    logging.getLogger("hubbub").disabled = True
    try:
        asyncio.run(test)
    finally:
        logging.getLogger("hubbub").disabled = False


@pytest.mark.parametrize("offset", [1, 3], ids=["double or swap", "gap"])
def test_the_checker_catches_what_is_out_of_place(offset: int) -> None:
    log = Log()
    log.last = Position("1", 0)
    log.publication(Publication("r", "a", 0.0, Position("1", 1)))
    with pytest.raises(AssertionError, match="gap, double or swap"):
        log.publication(Publication("r", "b", 0.0, Position("1", offset)))


async def test_what_was_lost_and_then_erased_is_passed_over(scene: Scene) -> None:
    store = scene.store
    scene.rooms.arrived(store.publish())
    for _ in range(3):
        store.publish()
    store.erase(1)
    store.erase(0)
    await scene.look()
    await scene.level()
    assert scene.log.payloads == ["0", "1"]
    assert scene.log.last == store.position, "who resumes from there would wait"
    store.publish()
    store.erase(0)
    scene.rooms.arrived(store.publish())
    await scene.level()
    assert scene.log.payloads == ["0", "1", "5"]
    assert scene.log.interruptions == []


async def test_what_came_before_the_position_was_known_is_delivered_once() -> None:
    scene = Scene()
    scene.store.publish()
    scene.rooms.follow("r", KEEP)
    second = scene.store.publish()
    scene.rooms.arrived(second)
    scene.log.last = Position("1", 1)
    assert scene.rooms.begin("r", Position("1", 1)) == second.position
    assert scene.log.delivered == [second]


async def test_a_room_of_another_epoch_before_it_began_is_looked_at() -> None:
    scene = Scene()
    scene.rooms.follow("r", KEEP)
    old = scene.store.position
    scene.store.begin_anew()
    scene.rooms.arrived(scene.store.publish())
    scene.log.last = scene.rooms.begin("r", old)
    await scene.level()
    assert scene.log.payloads == ["0"]
    assert scene.log.interruptions == [Position("2", 0)]


async def test_a_gap_is_filled_before_anything_newer_comes(scene: Scene) -> None:
    first, _, third = (scene.store.publish() for _ in range(3))
    scene.rooms.arrived(first)
    scene.rooms.arrived(third)
    assert scene.log.payloads == ["0"]
    await scene.level()
    assert scene.log.payloads == ["0", "1", "2"]
    assert scene.rooms.repaired == 1


async def test_a_store_that_came_back_empty_interrupts_once_and_loses_nothing_newer(scene: Scene) -> None:
    scene.rooms.arrived(scene.store.publish())
    scene.store.begin_anew()
    for _ in range(3):
        scene.rooms.arrived(scene.store.publish())
        await scene.look()
    await scene.level()
    assert scene.log.interruptions == [Position("2", 0)]
    assert scene.log.payloads == ["0", "1", "2", "3"]
    assert scene.rooms.interrupted == 1


async def test_a_store_that_went_back_is_not_taken_for_a_late_answer(scene: Scene) -> None:
    for _ in range(5):
        scene.rooms.arrived(scene.store.publish())
    scene.store.go_back(3)
    await scene.look()
    await scene.level()
    assert scene.log.interruptions == [Position("1", 2)]
    scene.rooms.arrived(scene.store.publish())
    assert scene.log.payloads[-1] == "5"


async def test_what_was_held_from_before_the_store_went_back_is_not_taken_for_what_came_after(
    scene: Scene,
) -> None:
    for _ in range(3):
        scene.rooms.arrived(scene.store.publish())
    scene.store.publish()  # lost
    scene.store.away = True
    scene.rooms.arrived(scene.store.publish())  # held, as what is before it cannot be read
    await eventually(lambda: scene.store.reads)
    scene.store.go_back(3)
    await scene.look()
    scene.store.away = False
    for _ in range(3):
        scene.store.publish()  # lost, at the offsets of those that are gone
    await scene.look()
    await scene.level()
    assert scene.log.interruptions == [Position("1", 5)]
    assert scene.log.payloads == ["0", "1", "2"], "what was held is not at that position any more"


async def test_a_late_answer_is_not_taken_for_a_store_that_went_back(scene: Scene) -> None:
    delivered, position = scene.rooms.position("r"), scene.store.position
    scene.rooms.arrived(scene.store.publish())
    scene.rooms.seen("r", position, delivered)
    scene.rooms.seen("r", position)
    await turns()
    assert (scene.log.interruptions, scene.store.reads) == ([], 0)


async def test_a_repair_waits_for_a_store_that_is_away(scene: Scene) -> None:
    scene.store.away = True
    scene.store.publish()
    await scene.look()
    await eventually(lambda: scene.store.reads)
    assert scene.log.delivered == []
    scene.store.away = False
    await scene.level()
    assert scene.log.payloads == ["0"]


async def test_what_the_store_never_had_does_not_keep_a_repair_going(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.brokers.followed.RETRY", 0.001)
    scene.rooms.arrived(Publication("r", "planted", 0.0, Position("1", 99)))
    await eventually(lambda: scene.store.reads > 10)
    scene.rooms.arrived(scene.store.publish())
    await scene.level()
    assert scene.log.payloads == ["0"]
    await idle(scene)


async def idle(scene: Scene) -> None:
    """Wait until no repair runs."""
    await eventually(lambda: scene.rooms._rooms["r"].repair is None)


async def test_what_is_held_during_a_repair_is_bounded_and_read_instead(scene: Scene) -> None:
    scene.store.publish()
    for _ in range(MAX_HELD + 100):
        scene.rooms.arrived(scene.store.publish())
    assert len(scene.rooms._rooms["r"].held) == MAX_HELD
    await scene.level()
    assert len(scene.log.delivered) == MAX_HELD + 101
    await idle(scene)
    assert not scene.rooms._rooms["r"].held


async def test_a_room_left_from_within_a_delivery_gets_nothing_more(scene: Scene) -> None:
    scene.log.on_publication = lambda: scene.rooms.unfollow("r")
    for _ in range(3):
        scene.store.publish()
    await scene.look()
    await eventually(lambda: scene.log.delivered)
    await turns()
    assert scene.log.payloads == ["0"]
    assert "r" not in scene.rooms


async def test_a_room_left_during_a_repair_gets_nothing_more(scene: Scene) -> None:
    scene.store.publish()
    await scene.look()
    scene.rooms.unfollow("r")
    scene.rooms.arrived(scene.store.publish())
    await turns()
    assert scene.log.delivered == []


async def test_many_losses_are_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    store = Store()
    rooms = FollowedRooms(log, store.read)
    for number in range(50):
        rooms.follow(str(number), KEEP)
        rooms.begin(str(number), store.position)
    store.begin_anew()
    for name in rooms.names:
        rooms.seen(name, store.position)
    await eventually(lambda: rooms.interrupted == 50)
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1


async def test_closing_ends_all_repairs(scene: Scene) -> None:
    scene.store.away = True
    scene.store.publish()
    await scene.look()
    task = scene.rooms._rooms["r"].repair
    assert task is not None
    scene.rooms.close()
    await asyncio.wait([task])
    assert task.cancelled()
    assert scene.rooms.names == []
