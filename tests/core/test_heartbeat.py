"""When a client is asked, and when it is given up."""

import pytest

from hubbub.core.errors import ConfigurationError
from hubbub.core.heartbeat import Heartbeat, Pulse, Verdict

BEAT = Heartbeat(interval=25.0, timeout=10.0)


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"timeout": 0}, {"interval": -1}, {"timeout": -1}])
def test_a_heartbeat_without_a_time_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        Heartbeat(**wrong)


def test_a_client_is_asked_after_the_interval_and_not_before() -> None:
    pulse = Pulse(0.0, BEAT.interval)
    assert pulse.check(24.9, BEAT) == (Verdict.ALIVE, 25.0)
    assert pulse.check(25.0, BEAT) == (Verdict.ASK, 35.0)


def test_a_client_that_stays_silent_is_dead_after_interval_and_timeout() -> None:
    pulse = Pulse(0.0, BEAT.interval)
    pulse.check(25.0, BEAT)
    assert pulse.check(34.9, BEAT) == (Verdict.ALIVE, 35.0)
    assert pulse.check(35.0, BEAT)[0] is Verdict.DEAD


def test_anything_from_the_client_is_an_answer() -> None:
    pulse = Pulse(0.0, BEAT.interval)
    pulse.check(25.0, BEAT)
    pulse.beat()
    assert pulse.check(35.0, BEAT) == (Verdict.ALIVE, 50.0)
    assert pulse.check(50.0, BEAT)[0] is Verdict.ASK


def test_a_client_that_talks_is_asked_all_the_same() -> None:
    pulse = Pulse(0.0, BEAT.interval)
    asked = 0
    for now in range(1, 101):
        pulse.beat()
        asked += pulse.check(float(now), BEAT)[0] is Verdict.ASK
    assert asked == 4


def test_with_a_timeout_longer_than_the_interval_the_first_ping_without_an_answer_counts() -> None:
    patient = Heartbeat(interval=1.0, timeout=2.5)
    pulse = Pulse(0.0, patient.interval)
    verdicts = [pulse.check(now, patient)[0] for now in (1.0, 2.0, 3.0, 3.5)]
    assert verdicts == [Verdict.ASK, Verdict.ASK, Verdict.ASK, Verdict.DEAD]
