"""Followed rooms: whatever a link does to publications, they come in order and whole, or the loss is told."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polling import eventually, turns

from hubbub import BrokerError, History, HistoryGone, Position, Publication
from hubbub.brokers import HistoryPage
from hubbub.brokers.followed import MAX_HELD, FollowedRooms

KEEP = History()


class Store:
    """What a broker's server has of the room "r"."""

    def __init__(self) -> None:
        self.epochs = 1
        self.top = 0
        self.log: dict[int, Publication] = {}
        self.accepted: set[tuple[Position, str]] = set()
        self.erased: set[Position] = set()
        self.away = False
        self.reads = 0

    @property
    def position(self) -> Position:
        return Position(str(self.epochs), self.top)

    def publish(self) -> Publication:
        self.top += 1
        payload = f"{len(self.accepted)}"
        publication = Publication("r", payload, 0.0, self.position)
        self.log[self.top] = publication
        self.accepted.add((self.position, payload))
        return publication

    async def read(self, room: str, history: History, since: Position | None) -> HistoryPage:
        self.reads += 1
        await asyncio.sleep(0)
        if self.away:
            raise BrokerError("away")
        page = self._page(since)
        await asyncio.sleep(0)
        return page

    def _page(self, since: Position | None) -> HistoryPage:
        if since is None:
            return HistoryPage([], self.position)
        epoch = self.position.epoch
        offsets = [
            offset
            for offset in range(since.offset + 1, self.top + 1)
            if Position(epoch, offset) not in self.erased
        ]
        if since.epoch != self.position.epoch or since.offset > self.top or not set(offsets) <= set(self.log):
            raise HistoryGone("gone")
        return HistoryPage([self.log[offset] for offset in offsets], self.position)

    def erase(self, back: int) -> None:
        """Take the publication out that was published so many before the newest, if it is kept."""
        if self.log.pop(self.top - back, None) is not None:
            self.erased.add(Position(str(self.epochs), self.top - back))

    def trim(self) -> None:
        """Forget all but the newest publication."""
        self.log = {offset: one for offset, one in self.log.items() if offset == self.top}

    def begin_anew(self) -> None:
        """Come back empty."""
        self.epochs, self.top, self.log = self.epochs + 1, 0, {}

    def go_back(self, amount: int) -> None:
        """Come back with older data of the same epoch."""
        self.top = max(0, self.top - amount)
        self.log = {offset: one for offset, one in self.log.items() if offset <= self.top}
        self.erased.difference_update([one for one in self.erased if one > self.position])


class Log:
    """What a receiver was told, checked as it comes."""

    def __init__(self, erased: Collection[Position] = ()) -> None:
        self._erased = erased
        self.last: Position | None = None
        self.delivered: list[Publication] = []
        self.interruptions: list[Position] = []
        self.on_publication: Callable[[], None] = lambda: None

    def publication(self, publication: Publication) -> None:
        position = publication.position
        assert self.last is not None
        assert position is not None
        assert position.epoch == self.last.epoch, "gap, double or swap"
        assert position > self.last, "gap, double or swap"
        self._go_on(position, position.offset)
        self.delivered.append(publication)
        self.on_publication()

    def passed(self, room: str, position: Position) -> None:
        assert self.last is not None
        assert position > self.last
        self._go_on(position, position.offset + 1)

    def _go_on(self, position: Position, to: int) -> None:
        """Only what was erased may lie between."""
        assert self.last is not None
        between = {Position(position.epoch, offset) for offset in range(self.last.offset + 1, to)}
        assert between <= set(self._erased), "gap, double or swap"
        self.last = position

    def interrupted(self, room: str, position: Position) -> None:
        self.last = position
        self.interruptions.append(position)

    @property
    def payloads(self) -> list[str | bytes]:
        return [one.payload for one in self.delivered]


class Scene:
    """A followed room, its store and its receiver."""

    def __init__(self) -> None:
        self.store = Store()
        self.log = Log(self.store.erased)
        self.rooms = FollowedRooms(self.log, self.store.read)

    def begin(self) -> None:
        self.rooms.follow("r", KEEP)
        self.log.last = self.rooms.begin("r", self.store.position)

    async def look(self) -> None:
        """Compare positions, as a broker's sweep does."""
        delivered = self.rooms.position("r")
        position = self.store.position
        await asyncio.sleep(0)
        self.rooms.seen("r", position, delivered)

    async def level(self) -> None:
        """Wait until the room stands where the store stands."""
        await eventually(lambda: self.rooms.position("r") == self.store.position)


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
