"""What the SQLite broker's file holds after anything: compared with the memory broker, and swept."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubbub import BrokerError, History, HistoryGone, Position
from hubbub.brokers import HistoryPage, MemoryBroker, envelope, sqlite_keys, sqlite_rooms, sqlite_store
from hubbub.brokers.base import IDEMPOTENCY_WINDOW
from hubbub.brokers.sqlite_operations import Append, Claim, Clear, Read
from hubbub.brokers.sqlite_store import UNUSED_ROOM, Bounds, Store

KEEP = History(size=5, ttl=60.0, bytes=50)
LARGE = History(size=1_000, ttl=3_600.0)
BOUNDS = Bounds(history_bytes=1_000_000, rooms=1_000)


class Nobody:
    """Receives."""

    def publication(self, publication: object) -> None: ...

    def passed(self, room: str, position: Position) -> None: ...

    def interrupted(self, room: str, position: Position) -> None: ...


class Writer:
    """A store at a time of its own, without a thread."""

    def __init__(self, path: Path, bounds: Bounds = BOUNDS) -> None:
        self.path = path
        self.time = 1_000.0
        self._bounds = bounds
        self._loop = asyncio.new_event_loop()
        self.store = Store(path, "normal", bounds)

    def __call__(self) -> float:
        return self.time

    def open_again(self, *, saved: bool) -> None:
        """As after a stop, or as after `kill -9`."""
        if saved:
            self.store.close(self.time)
        else:
            self.store._db.close()
        self.store = Store(self.path, "normal", self._bounds)

    def future(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def new(
        self, payload: str, room: str = "r", history: History | None = KEEP, key: str | None = None
    ) -> Append:
        return Append(
            room, payload, self.time, None, None, None, history, key.encode() if key else None,
            len(payload.encode()), envelope.encode(payload, self.time), self._loop.create_future(),
        )  # fmt: skip

    def append(
        self, *payloads: str, room: str = "r", history: History | None = KEEP, key: str | None = None
    ) -> list[Append]:
        """All in one transaction; the key belongs to the first."""
        appends = [
            self.new(payload, room, history, None if number else key)
            for number, payload in enumerate(payloads)
        ]
        self.store.write(appends, self.time)
        return appends

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """The file cannot grow."""
        connection = self.store._db
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        yield
        connection.execute("PRAGMA max_page_count = 1000000000")

    def clear(self, room: str) -> None:
        self.store.write([Clear(room, self._loop.create_future())], self.time)

    def claim(self, key: str, ttl: float) -> object:
        claim = Claim(key.encode(), self.time, ttl, self._loop.create_future())
        self.store.write([claim], self.time)
        return claim.outcome

    def read(
        self,
        room: str = "r",
        since: Position | None = None,
        limit: int | None = None,
        reverse: bool = False,
        history: History = KEEP,
    ) -> HistoryPage | BrokerError | None:
        read = Read(room, self.time, history, since, limit, reverse, self._loop.create_future())
        self.store.read(read)
        return read.outcome

    def payloads(self, room: str = "r", history: History = KEEP) -> list[str | bytes]:
        page = self.read(room, history=history)
        assert isinstance(page, HistoryPage)
        return [one.payload for one in page.publications]

    def count(self, table: str) -> int:
        number: int = self.store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return number

    def sweep(self) -> None:
        """A whole round, in its steps."""
        self.store.save(self.time)
        while self.store.sweep(self.time):
            pass

    def close(self) -> None:
        self.store._db.close()
        self._loop.close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    with contextlib.closing(Writer(tmp_path / "chat.db")) as writer:
        yield writer


# Anything, compared with the memory broker

ROOM = st.sampled_from("rs")
STEP = st.one_of(
    st.tuples(st.just("publish"), ROOM, st.lists(st.sampled_from([10, 20, 50]), min_size=1, max_size=3)),
    st.tuples(st.just("publish"), ROOM, st.lists(st.sampled_from([0, 1]), min_size=3, max_size=8)),
    st.tuples(st.just("keyed"), ROOM, st.sampled_from(["k", "l"])),
    st.tuples(st.just("clear"), ROOM, st.none()),
    st.tuples(st.just("wait"), ROOM, st.sampled_from([0.5, 30.0, 61.0, IDEMPOTENCY_WINDOW])),
    st.tuples(st.just("save"), ROOM, st.none()),
    st.tuples(st.just("sweep"), ROOM, st.none()),
    st.tuples(st.just("open again"), ROOM, st.booleans()),
    st.tuples(
        st.just("read"), ROOM, st.tuples(st.integers(-1, 20), st.none() | st.integers(0, 4), st.booleans())
    ),
)


@given(st.lists(STEP, min_size=10, max_size=40))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_done_to_it_it_answers_like_the_memory_broker(
    steps: list[tuple[str, str, object]],
) -> None:
    with TemporaryDirectory() as folder, contextlib.closing(Writer(Path(folder) / "chat.db")) as writer:
        asyncio.run(compare(writer, steps))


async def compare(writer: Writer, steps: list[tuple[str, str, object]]) -> None:
    memory = MemoryBroker(clock=writer)
    await memory.start(Nobody())  # type: ignore[arg-type]
    for what, room, more in steps:
        match what, more:
            case "publish", list(sizes):
                made = [await memory.publish(room, "x" * size, history=KEEP) for size in sizes]
                assert offsets(writer.append(*("x" * size for size in sizes), room=room)) == [
                    one.position and one.position.offset for one in made
                ]
            case "keyed", str(key):
                one = await memory.publish(room, "é", history=KEEP, idempotency_key=key)
                assert offsets(writer.append("é", room=room, key=f"{room} {key}")) == [
                    one.position and one.position.offset
                ]
            case "clear", _:
                writer.clear(room)
                await memory.remove_history(room)
            case "wait", float(seconds):
                writer.time += seconds
            case "save", _:
                writer.store.save(writer.time)
            case "sweep", _:
                writer.sweep()
            case "open again", bool(saved):
                writer.open_again(saved=saved)
            case "read", (int(since), limit, bool(reverse)):
                await compare_read(writer, memory, room, since, limit, reverse)  # type: ignore[arg-type]
    await compare_read(writer, memory, "r", -1, None, False)


def offsets(appends: list[Append]) -> list[object]:
    return [getattr(getattr(one.outcome, "position", None), "offset", None) for one in appends]


async def compare_read(
    writer: Writer, memory: MemoryBroker, room: str, since: int, limit: int | None, reverse: bool
) -> None:
    page = writer.read(room)
    assert isinstance(page, HistoryPage)
    ours = Position(page.position.epoch, since) if since >= 0 else None
    epoch = (await memory.history(room, KEEP, since=None, limit=0, reverse=False)).position.epoch
    theirs = Position(epoch, since) if since >= 0 else None
    answer = writer.read(room, ours, limit, reverse and since < 0)
    try:
        expected = await memory.history(room, KEEP, since=theirs, limit=limit, reverse=reverse and since < 0)
    except HistoryGone:
        assert isinstance(answer, HistoryGone)
        return
    assert isinstance(answer, HistoryPage)
    assert answer.position.offset == expected.position.offset
    assert [(one.payload, one.time) for one in answer.publications] == [
        (one.payload, one.time) for one in expected.publications
    ]


# Trimming and sweeping


def test_what_trimming_has_dropped_never_reaches_the_tables(writer: Writer) -> None:
    writer.append(*map(str, range(1_000)))
    writer.store.save(writer.time)
    assert writer.count("publications") == 5
    assert writer.count("journal") == 0
    writer.append("x" * 49)
    writer.store.save(writer.time)
    assert writer.count("publications") == 1


def test_a_room_whose_newest_is_too_old_is_emptied_in_steps(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_rooms, "SWEPT_PUBLICATIONS", 10)
    monkeypatch.setattr(sqlite_rooms, "SWEPT_ROOMS", 2)
    large = History(size=100, ttl=60.0)
    for room in "abcde":
        writer.append(*map(str, range(35)), room=room, history=large)
    writer.append("1", room="kept", history=History(size=100, ttl=6_000.0))
    writer.time += 60.0
    writer.store.save(writer.time)
    assert writer.count("publications") == 176
    writer.time += 1.0
    writer.store.sweep(writer.time)
    assert 140 < writer.count("publications") < 176
    writer.sweep()
    assert writer.count("publications") == 1
    assert offsets(writer.append("after", room="c", history=large)) == [36]


def test_a_sweep_leaves_a_room_alone_that_has_something_in_the_journal(writer: Writer) -> None:
    writer.append("old")
    writer.store.save(writer.time)
    writer.time += 61.0
    writer.append("new")
    while writer.store.sweep(writer.time):
        pass
    assert writer.payloads() == ["new"]
    writer.open_again(saved=False)
    assert writer.payloads() == ["new"]


def test_a_room_nothing_was_written_to_for_30_days_is_forgotten(writer: Writer) -> None:
    (first,) = writer.append("a")
    writer.append("b", room="long", history=History(ttl=2 * UNUSED_ROOM))
    writer.sweep()
    writer.time += UNUSED_ROOM + 1.0
    writer.sweep()
    assert writer.count("rooms") == 1
    assert writer.payloads("long", History(ttl=2 * UNUSED_ROOM)) == ["b"]
    (again,) = writer.append("c")
    assert offsets([again]) == [1]
    assert again.outcome.position.epoch != first.outcome.position.epoch  # type: ignore[union-attr]
    writer.open_again(saved=False)
    writer.append("d")
    assert writer.payloads() == ["c", "d"]


def test_keys_and_claims_that_are_over_are_swept(writer: Writer) -> None:
    for number in range(20):
        writer.append("a", key=f"key {number}")
        assert writer.claim(f"claim {number}", 60.0)
    writer.sweep()
    assert (writer.count("keys"), writer.count("claims")) == (20, 20)
    writer.time += IDEMPOTENCY_WINDOW
    writer.append("a", key="new")
    writer.sweep()
    assert (writer.count("keys"), writer.count("claims")) == (1, 0)


def test_keys_and_claims_that_cannot_be_remembered_are_refused_alone(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_keys, "MAX_KEYS", 3)
    monkeypatch.setattr(sqlite_keys, "MAX_CLAIMS", 3)
    for number in range(3):
        writer.append("a", key=f"key {number}")
        assert writer.claim(f"claim {number}", 60.0)
    (refused,) = writer.append("b", key="one more")
    assert isinstance(refused.outcome, BrokerError)
    assert isinstance(writer.claim("one more", 60.0), BrokerError)
    assert writer.claim("claim 0", 60.0) is False
    assert offsets(writer.append("a", key="key 0")) == [1]
    assert offsets(writer.append("c")) == [4]
    writer.time += IDEMPOTENCY_WINDOW
    writer.store.save(writer.time)
    assert offsets(writer.append("d", key="one more")) == [5]
    assert writer.claim("one more", 60.0) is True


# Failures


def test_a_transaction_that_failed_has_left_no_trace(writer: Writer) -> None:
    writer.append("a", "b")
    with writer.full_disk(), pytest.raises(BrokerError, match=r"cannot be written: .* full"):
        writer.append("lost", "x" * 100_000, history=LARGE, key="k")
    assert writer.payloads() == ["a", "b"]
    assert offsets(writer.append("c", key="k")) == [3]
    writer.open_again(saved=False)
    assert writer.payloads() == ["a", "b", "c"]


def test_a_save_that_failed_has_lost_nothing(writer: Writer) -> None:
    large = ["x" * 50_000, "y" * 50_000]
    writer.append(*large, history=LARGE)
    with writer.full_disk(), pytest.raises(BrokerError, match="full"):
        writer.store.save(writer.time)
    assert offsets(writer.append("c", history=LARGE)) == [3]
    writer.store.save(writer.time)
    assert writer.payloads(history=LARGE) == [*large, "c"]


def test_a_key_is_known_after_a_removal_in_the_same_transaction(writer: Writer) -> None:
    first, clear, again = writer.new("a", key="k"), Clear("r", writer.future()), writer.new("b", key="k")
    writer.store.write([first, clear, again], writer.time)
    assert offsets([first, again]) == [1, 1]
    assert not again.fresh


def test_a_journal_that_does_not_fit_its_rooms_is_told(writer: Writer) -> None:
    writer.append("a")
    writer.store.save(writer.time)
    writer.append("b")
    writer.store._db.close()
    with contextlib.closing(sqlite3.connect(writer.path)) as connection, connection:
        connection.execute("UPDATE rooms SET top = 7")
    with pytest.raises(BrokerError, match="do not fit together"):
        Store(writer.path, "normal", BOUNDS)


def test_the_journal_is_bounded(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "JOURNAL_ENTRIES", 10)
    for number in range(25):
        writer.append(str(number))
    assert writer.count("journal") == 5
    assert writer.payloads() == ["20", "21", "22", "23", "24"]
