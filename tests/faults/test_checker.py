"""The checker itself: it lets a clean run pass, and catches whatever is planted in one."""

import random
from dataclasses import replace

import pytest
from checker import Kind, Verdict, check
from delivery_logs import ClientLog, Event, Gap, Joined, Outcome, Place, Published, Received
from hypothesis import assume, given
from hypothesis import strategies as st
from simulated_room import ROOM, Run, SimulatedRoom


def publish(sequence: int, outcome: Outcome = Outcome.ACCEPTED, room: str = ROOM) -> Published:
    """The publish of `p` with that number, which is also its time and, if it was accepted, its offset."""
    places = (Place("e", sequence),) if outcome is Outcome.ACCEPTED else ()
    return Published("p", sequence, room, sequence, sequence + 0.5, outcome, places)


def receive(sequence: int, offset: int | None = None, room: str = ROOM) -> Received:
    """Its arrival, at its own offset unless another is given."""
    return Received(sequence + 0.2, Place("e", sequence if offset is None else offset), room, "p", sequence)


def joined(offset: int = 0, *, time: float = 0, recovered: bool | None = None, epoch: str = "e") -> Joined:
    return Joined(time, Place(epoch, offset), recovered)


def log(*events: Event, client: str = "a", room: str = ROOM) -> ClientLog:
    return ClientLog(client, room, list(events))


FIVE = [publish(sequence) for sequence in range(1, 6)]
ALL = tuple(receive(sequence) for sequence in range(1, 6))
CLEAN = log(joined(), *ALL, client="clean")
LATE_AND_BACK = [
    log(joined(2, time=2.9), *ALL[2:]),
    log(joined(), *ALL[:2], joined(4, time=4.5, recovered=True), *ALL[2:]),
    log(joined(), *ALL[:2], joined(4, time=4.9, recovered=False), ALL[4]),
    log(joined(), *ALL[:2], Gap(4.9, Place("e", 4)), ALL[4]),
    log(joined(), *ALL[:2], Gap(9, Place("f", 0))),
    log(joined(), *ALL[:4], joined(4, time=4.9, recovered=True), ALL[4]),
]


@pytest.mark.parametrize("one", LATE_AND_BACK)
def test_who_comes_late_comes_back_or_was_told_passes(one: ClientLog) -> None:
    check(FIVE, [one, CLEAN]).prove()


def test_the_figures_say_what_was_seen() -> None:
    verdict = check([*FIVE, publish(6, Outcome.UNKNOWN)], [*LATE_AND_BACK, log(joined(), *ALL, receive(6))])
    verdict.prove()
    assert verdict.outcomes == {Outcome.ACCEPTED: 5, Outcome.REFUSED: 0, Outcome.UNKNOWN: 1}
    assert (verdict.appeared, verdict.recovered, verdict.unrecovered, verdict.gaps) == (1, 2, 1, 2)
    assert (
        verdict.deliveries
        == sum(isinstance(event, Received) for one in LATE_AND_BACK for event in one.events) + 6
    )
    assert "0 lost, 0 doubled" in verdict.figures


PLANTED: dict[str, tuple[Kind, tuple[Event, ...]]] = {
    "a loss in the middle": (Kind.LOST, (joined(), *ALL[:2], *ALL[3:])),
    "a loss at the end": (Kind.LOST, (joined(), *ALL[:4])),
    "a loss after a late join": (Kind.LOST, (joined(2, time=2.9), *ALL[3:])),
    "all lost": (Kind.LOST, (joined(),)),
    "a loss hidden by new numbers": (Kind.LOST, (joined(), *ALL[:2], receive(4, 3), receive(5, 4))),
    "a loss at a resume that claims to be whole": (
        Kind.LOST,
        (joined(), *ALL[:2], joined(4, time=4.9, recovered=True), *ALL[3:]),
    ),
    "a loss after a resume that was not whole": (
        Kind.LOST,
        (joined(), *ALL[:1], joined(3, time=3.9, recovered=False), ALL[4]),
    ),
    "a loss after a gap": (Kind.LOST, (joined(), *ALL[:1], Gap(3.9, Place("e", 3)), ALL[4])),
    "a loss before a gap": (Kind.LOST, (joined(), ALL[1], Gap(3.9, Place("e", 3)), *ALL[3:])),
    "what was published after the gap was told": (Kind.LOST, (joined(), *ALL[:1], Gap(3.9, Place("f", 0)))),
    "a double": (Kind.DOUBLED, (joined(), *ALL[:2], *ALL[1:])),
    "a double under a new number": (Kind.DOUBLED, (joined(), *ALL, receive(5, 6))),
    "a double at a resume": (
        Kind.DOUBLED,
        (joined(), *ALL[:3], joined(4, time=4.9, recovered=True), *ALL[2:]),
    ),
    "a double after being told of a loss": (
        Kind.DOUBLED,
        (joined(), *ALL[:3], joined(3, time=3.9, recovered=False), receive(3, 4), ALL[4]),
    ),
    "a swap": (Kind.DISORDERED, (joined(), ALL[0], ALL[2], ALL[1], *ALL[3:])),
    "a swap under right numbers": (
        Kind.DISORDERED,
        (joined(), ALL[0], receive(3, 2), receive(2, 3), *ALL[3:]),
    ),
    "a way back": (Kind.DISORDERED, (joined(), *ALL, Gap(9, Place("e", 3)))),
    "an epoch that comes back": (
        Kind.DISORDERED,
        (joined(), *ALL, Gap(9, Place("f", 0)), Gap(10, Place("e", 5))),
    ),
    "a publication from nowhere": (Kind.FOREIGN, (joined(), *ALL, receive(99, 6))),
    "another room's message": (Kind.FOREIGN, (joined(), *ALL, receive(7, 6, room="other"))),
    "a label of another room": (Kind.FOREIGN, (joined(), *ALL[:4], receive(5, room="other"))),
    "what was refused": (Kind.FOREIGN, (joined(), *ALL, receive(8, 6))),
    "a resume that is a lie": (
        Kind.UNTOLD,
        (joined(), *ALL, joined(0, time=9, recovered=True, epoch="f")),
    ),
    "a resume from nothing": (Kind.UNTOLD, (joined(0, recovered=True), *ALL)),
    "a resume without an answer": (Kind.UNTOLD, (joined(), *ALL, joined(5, time=9))),
    "a publication before the join": (Kind.UNTOLD, (ALL[0], joined(1, time=1.5), *ALL[1:])),
    "a gap before the join": (Kind.UNTOLD, (Gap(0, Place("e", 0)), *ALL)),
    "a new epoch without a word": (
        Kind.UNTOLD,
        (joined(), *ALL, Received(6.2, Place("f", 1), ROOM, "p", 6)),
    ),
}


@pytest.mark.parametrize(("kind", "events"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_caught(kind: Kind, events: tuple[Event, ...]) -> None:
    others = [publish(6, Outcome.UNKNOWN), publish(7, room="other"), publish(8, Outcome.REFUSED)]
    others[1] = others[1]._replace(places=())
    verdict = check([*FIVE, *others], [CLEAN, log(*events, client="planted")])
    assert verdict.count(kind), verdict.faults
    with pytest.raises(AssertionError, match="planted"):
        verdict.prove()


def test_two_orders_are_caught_though_each_is_whole() -> None:
    unanswered = [one._replace(places=(), started=0, finished=9) for one in FIVE]
    other = log(joined(), ALL[0], receive(3, 2), receive(2, 3), *ALL[3:])
    verdict = check(unanswered, [CLEAN, other])
    assert verdict.count(Kind.DISORDERED)
    assert not verdict.count(Kind.LOST)


def test_a_room_in_which_a_publisher_is_overtaken_by_itself_is_caught() -> None:
    swapped = [FIVE[0], *(FIVE[i]._replace(places=(Place("e", 5 - i),)) for i in (2, 1))]
    seen = log(joined(), ALL[0], receive(3, 2), receive(2, 3))
    assert check([one._replace(places=()) for one in FIVE[:3]], [seen]).count(Kind.DISORDERED)
    assert check(swapped, []).count(Kind.DISORDERED)


def test_a_publication_that_stands_before_one_accepted_earlier_is_caught() -> None:
    early = Published("p", 1, ROOM, 1, 2, Outcome.ACCEPTED, (Place("e", 2),))
    late = Published("q", 1, ROOM, 3, 4, Outcome.ACCEPTED, (Place("e", 1),))
    assert check([early, late], []).count(Kind.DISORDERED) == 1
    assert not check([early, late._replace(started=1.5)], []).faults


def test_answers_that_disagree_are_caught() -> None:
    twice = FIVE[0]._replace(places=(Place("e", 1), Place("e", 2)))
    assert check([twice], []).count(Kind.DISORDERED) == 1
    assert check([FIVE[0], FIVE[1]._replace(places=(Place("e", 1),))], []).count(Kind.DISORDERED) == 1


def simulated(seed: int, steps: int) -> Run:
    return SimulatedRoom(random.Random(seed)).run(steps)


runs = st.builds(simulated, st.integers(0, 2**32), st.integers(0, 200))


@given(runs)
def test_a_run_with_reconnects_losses_that_were_told_and_new_epochs_passes(run: Run) -> None:
    check(*run).prove()


def pairs(run: Run) -> list[tuple[int, int]]:
    """Where a client received two publications one right after the other: its number, and the first's."""
    return [
        (number, index)
        for number, one in enumerate(run[1])
        for index, (first, second) in enumerate(zip(one.events, one.events[1:], strict=False))
        if isinstance(first, Received) and isinstance(second, Received)
    ]


def planted(run: Run, number: int, events: list[Event]) -> Verdict:
    logs = list(run[1])
    logs[number] = replace(logs[number], events=events)
    return check(run[0], logs)


@given(runs, st.data())
def test_in_any_run_a_planted_loss_double_and_swap_are_caught(run: Run, data: st.DataObject) -> None:
    assume(pairs(run))
    number, index = data.draw(st.sampled_from(pairs(run)))
    events = run[1][number].events
    before, first, second, after = events[:index], events[index], events[index + 1], events[index + 2 :]
    assert isinstance(first, Received)
    assert isinstance(second, Received)
    assert planted(run, number, [*before, second, *after]).count(Kind.LOST)
    assert planted(run, number, [*before, first, first, second, *after]).count(Kind.DOUBLED) == 1
    assert planted(run, number, [*before, first, second, first, *after]).count(Kind.DOUBLED) == 1
    assert planted(run, number, [*before, second, first, *after]).count(Kind.DISORDERED) == 1
    exchanged = (second._replace(place=first.place), first._replace(place=second.place))
    if told_elsewhere(run, number, first):
        assert planted(run, number, [*before, *exchanged, *after]).count(Kind.DISORDERED)


def told_elsewhere(run: Run, number: int, received: Received) -> bool:
    """Whether an answer, or another client, says where that publication stands."""
    identity = (received.publisher, received.sequence)
    answered = any(one.places and (one.publisher, one.sequence) == identity for one in run[0])
    others = (one for other, one in enumerate(run[1]) if other != number)
    return answered or any(
        isinstance(event, Received) and event[1:] == received[1:] for one in others for event in one.events
    )
