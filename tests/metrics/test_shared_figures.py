"""Figures of several processes: those of all that live, and what those that ended had counted."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from hubbub import Figures, Hub
from hubbub.core.figures import PRESENT, Distribution, together, without_present
from hubbub.metrics.shared import SharedFigures


def figures(**changes: object) -> Figures:
    return msgspec.structs.replace(Hub().figures, **changes)


class Process:
    """One of several that share a folder: its hub, and the figures that it has."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.figures = figures(**changes)
        self.shared = SharedFigures(folder, lambda: self.figures)
        self._hub = Hub()

    async def start(self) -> None:
        """Begin to share."""
        async with self._hub:  # for its clock alone
            await self.shared.begin(self._hub.parts)

    def die(self) -> None:
        """What the system does for a process that was killed."""
        self.shared._lock.release()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    one = Process(tmp_path, connections=3, opened=5, closed={"1000": 2}, loop_lag=0.1)
    other = Process(tmp_path, connections=4, opened=4, closed={"1000": 1, "1001": 1}, loop_lag=0.3)
    for process in (one, other):
        await process.start()
    yield one, other
    for process in (one, other):
        process.die()


async def test_whichever_is_asked_answers_for_all(pair: tuple[Process, Process]) -> None:
    for process in pair:
        found = process.shared.together()
        assert found.processes == 2
        assert (found.figures.connections, found.figures.opened, found.figures.loop_lag) == (7, 9, 0.3)
        assert found.figures.closed == {"1000": 3, "1001": 1}


async def test_of_a_process_that_was_killed_the_counters_stay(pair: tuple[Process, Process]) -> None:
    one, other = pair
    other.die()
    for _ in range(3):
        found = one.shared.together()
        assert (found.processes, found.figures.connections, found.figures.loop_lag) == (1, 3, 0.1)
        assert (found.figures.opened, found.figures.closed) == (9, {"1000": 3, "1001": 1})


async def test_those_that_come_and_go_leave_no_files_behind(tmp_path: Path) -> None:
    last = Process(tmp_path, opened=1)
    await last.start()
    for _ in range(20):
        process = Process(tmp_path, opened=10)
        await process.start()
        process.die()
        last.shared.together()
    assert last.shared.together().figures.opened == 201
    assert len(os.listdir(tmp_path)) <= 4
    last.die()


async def test_one_that_was_added_but_whose_file_is_still_there_counts_once(
    pair: tuple[Process, Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = pair
    other.die()
    with not_deleting(monkeypatch):  # as if killed in the middle of it
        one.shared.together()
    assert one.shared.together().figures.opened == 9
    assert one.shared.together().figures.opened == 9


@contextmanager
def not_deleting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        yield


async def test_a_file_that_is_none_of_ours_is_passed_over(
    pair: tuple[Process, Process], tmp_path: Path
) -> None:
    (tmp_path / "ended.json").write_bytes(b"{")
    (tmp_path / "other.json").write_bytes(b"{}")
    assert pair[0].shared.together().figures.opened == 9


def test_of_what_stands_nothing_is_left_when_a_process_has_ended() -> None:
    before = figures(**{name: 1 for name in PRESENT if name != "broker_connected"}, opened=7)
    after = without_present(before)
    assert {getattr(after, name) for name in PRESENT} == {0}
    assert after.opened == 7


def test_every_field_of_the_figures_can_be_put_together() -> None:
    times = Distribution(((0.1, 1), (1.0, 2)), 3, 4.5)
    one = figures(refused={"origin": 1}, publishing=times, queued_most=5, broker_connected=True, time=2.0)
    both = together([one, msgspec.structs.replace(one, queued_most=3, broker_connected=False, time=1.0)])
    assert both.refused == {"origin": 2}
    assert both.publishing == Distribution(((0.1, 2), (1.0, 4)), 6, 9.0)
    assert (both.queued_most, both.broker_connected, both.time) == (5, False, 2.0)
    counters = [name for name, value in msgspec.structs.asdict(one).items() if isinstance(value, int)]
    doubled = together([figures(**dict.fromkeys(counters, 1))] * 2)
    assert {getattr(doubled, name) for name in counters} == {1, 2}
