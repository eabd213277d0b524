"""Many deadlines: in order, none twice, none after it was cancelled."""

from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.timers import Timer, Timers


def test_what_is_due_comes_in_the_order_of_the_deadlines() -> None:
    timers, ran = Timers(), list[str]()
    for due, name in [(3.0, "c"), (1.0, "a"), (2.0, "b"), (9.0, "z")]:
        timers.schedule(due, lambda name=name: ran.append(name))  # type: ignore[misc]
    for action in timers.advance(3.0):
        action()
    assert ran == ["a", "b", "c"]
    assert (len(timers), timers.next_due) == (1, 9.0)


def test_nothing_is_due_before_its_time_or_twice() -> None:
    timers = Timers()
    timers.schedule(1.0, lambda: None)
    assert timers.advance(0.999) == []
    assert len(timers.advance(1.0)) == 1
    assert timers.advance(2.0) == []
    assert timers.next_due is None


def test_a_cancelled_timer_does_not_come() -> None:
    timers = Timers()
    first = timers.schedule(1.0, lambda: None)
    timers.schedule(2.0, lambda: None)
    first.cancel()
    first.cancel()
    assert (len(timers), timers.next_due) == (1, 2.0)
    assert timers.advance(1.5) == []


def test_a_timer_can_be_cancelled_after_it_was_due() -> None:
    timers = Timers()
    timer = timers.schedule(1.0, lambda: None)
    assert len(timers.advance(1.0)) == 1
    timer.cancel()
    assert len(timers) == 0


def test_cancelled_timers_do_not_pile_up() -> None:
    timers = Timers()
    timers.schedule(0.0, lambda: None)
    for _ in range(10_000):
        timers.schedule(1e9, lambda: None).cancel()
        assert timers.next_due == 0.0
    assert len(timers._heap) < 1_000


def test_asking_for_the_next_deadline_does_not_look_at_all_of_them() -> None:
    looks = 0

    class Seen(Timer):
        __slots__ = ()

        def __getattribute__(self, name: str) -> object:
            nonlocal looks
            looks += 1
            return super().__getattribute__(name)

    timers = Timers()
    for number in range(1_000):
        timers.schedule(float(number), lambda: None).__class__ = Seen
    looks = 0
    assert timers.next_due == 0.0
    assert looks < 10


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=200), st.floats(0, 100))
def test_exactly_what_is_due_and_not_cancelled_comes(deadlines: list[tuple[float, bool]], now: float) -> None:
    timers, came = Timers(), list[float]()
    for due, cancelled in deadlines:
        timer = timers.schedule(due, lambda due=due: came.append(due))  # type: ignore[misc]
        if cancelled:
            timer.cancel()
    expected = sorted(due for due, cancelled in deadlines if not cancelled)
    assert timers.next_due == (expected[0] if expected else None)
    for action in timers.advance(now):
        action()
    assert came == [due for due in expected if due <= now]
    assert len(timers) == len(expected) - len(came)
