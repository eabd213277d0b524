"""Proves from the logs of publishers and clients that nothing was lost, doubled or put out of order."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from delivery_logs import ClientLog, Event, Gap, Joined, Outcome, Place, Published, Received

Identity: TypeAlias = tuple[str, int]
"""Publisher and sequence: what a publication is known by, whatever its place says."""

MOST_OFFSETS = 100_000
"""Offsets looked at in one hole: a senseless offset must not stop the checker."""


class Kind(Enum):
    """What can be wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    DISORDERED = "out of order"
    FOREIGN = "from nowhere, from another room, or refused"
    UNTOLD = "not told, or told wrongly"


class Fault(NamedTuple):
    """Something that must not be."""

    kind: Kind
    text: str


class Break(NamedTuple):
    """Where a client was told that it does not get all: at its first join, a gap, `recovered: false`."""

    time: float
    before: Place | None  # the last it got; None at its first join
    after: Place

    def excuses(self, published: Published, place: Place | None) -> bool:
        """Whether a publication which the client did not get may be one of those it was told of."""
        if published.started >= self.time:
            return False
        if place is None:
            return True
        if place.epoch == self.after.epoch and place.offset > self.after.offset:
            return False
        return self.before is None or place.epoch != self.before.epoch or place.offset > self.before.offset


@dataclass(slots=True)
class Verdict:
    """What the checker found, and the figures of the run."""

    faults: list[Fault] = field(default_factory=list)
    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    appeared: int = 0
    """Publications of unknown outcome that somebody received."""

    deliveries: int = 0
    recovered: int = 0
    """Joins that were told `recovered: true`."""

    unrecovered: int = 0
    gaps: int = 0

    def count(self, kind: Kind) -> int:
        """How many faults there are of that kind."""
        return sum(fault.kind is kind for fault in self.faults)

    @property
    def figures(self) -> str:
        """The figures in one line."""
        outcomes = ", ".join(
            f"{count:,} {outcome.value}" for outcome, count in self.outcomes.items() if count
        )
        faults = ", ".join(
            f"{self.count(kind)} {kind.value}" for kind in (Kind.LOST, Kind.DOUBLED, Kind.DISORDERED)
        )
        told = f"{self.recovered} recovered, {self.unrecovered} not recovered, {self.gaps} gaps"
        return f"{outcomes}; {self.deliveries:,} deliveries: {faults}; joins: {told}"

    def prove(self) -> None:
        """Fail with the faults, if there are any."""
        shown = "\n".join(f"{fault.kind.value}: {fault.text}" for fault in self.faults[:20])
        assert not self.faults, f"{len(self.faults)} faults; {self.figures}\n{shown}"


def check(published: Iterable[Published], logs: Sequence[ClientLog]) -> Verdict:
    """Compare the logs.

    Every accepted publication must have reached every client that was in its room from before it was
    published, or whose position was before its place, unless the client was told. All must have come once, at
    the same place for all, and with places in order.
    """
    checker = _Checker({(one.publisher, one.sequence): one for one in published})
    for log in logs:
        checker.walk(log)
    checker.compare_orders()
    return checker.verdict


class _Checker:
    def __init__(self, published: dict[Identity, Published]) -> None:
        self.verdict = Verdict()
        self.published = published
        self._places: dict[Identity, Place] = {}
        self._taken: dict[tuple[str, Place], Identity] = {}
        self._by_room: dict[str, list[Identity]] = defaultdict(list)
        self._received: set[Identity] = set()
        for identity, one in published.items():
            self._by_room[one.room].append(identity)
            self.verdict.outcomes[one.outcome] += 1
            for place in one.places:
                self.stands(identity, one.room, place, f"an answer to {identity}")

    def fault(self, kind: Kind, text: str) -> None:
        self.verdict.faults.append(Fault(kind, text))

    def walk(self, log: ClientLog) -> None:
        """Go through what a client saw, and then look for what it did not see."""
        walk = _Walk(self, log)
        for event in log.events:
            walk.step(event)
        walk.finish(self._by_room[log.room], self._places, self._taken)
        self._received |= walk.seen

    def stands(self, identity: Identity, room: str, place: Place, who: str) -> None:
        """Somebody saw a publication at a place: it must be the only one there, and have no other."""
        known = self._places.setdefault(identity, place)
        if known != place:
            self.fault(Kind.DISORDERED, f"{who}: {identity} at {place}, to others it stands at {known}")
        other = self._taken.setdefault((room, place), identity)
        if other != identity:
            self.fault(Kind.DISORDERED, f"{who}: {identity} at {place} of {room}, where others see {other}")

    def compare_orders(self) -> None:
        """The order of places is that of each publisher, and no publication stands before an earlier one."""
        self.verdict.appeared = sum(
            self.published[identity].outcome is Outcome.UNKNOWN
            for identity in self._received
            if identity in self.published
        )
        streams: dict[tuple[str, str], list[tuple[int, Published]]] = defaultdict(list)
        for identity, place in self._places.items():
            one = self.published.get(identity)
            if one is not None:
                streams[one.room, place.epoch].append((place.offset, one))
        for (room, epoch), stream in streams.items():
            for text in _disorders([one for _, one in sorted(stream, key=lambda pair: pair[0])]):
                self.fault(Kind.DISORDERED, f"{room}, epoch {epoch}: {text}")


def _disorders(stream: Sequence[Published]) -> Iterator[str]:
    """Which publications of one room and epoch, in the order of their places, stand where they must not."""
    sequences: dict[str, int] = {}
    for one in stream:
        if one.outcome is Outcome.ACCEPTED:
            if one.sequence < sequences.get(one.publisher, one.sequence):
                yield f"{one.publisher}'s {one.sequence} stands after its {sequences[one.publisher]}"
            sequences[one.publisher] = one.sequence
    earliest: Published | None = None  # of what stands later: which was accepted first
    for one in reversed(stream):
        if earliest is not None and earliest.finished < one.started:
            yield f"{one[:2]} was sent after {earliest[:2]} had been accepted, but stands before it"
        if one.outcome is Outcome.ACCEPTED and (earliest is None or one.finished < earliest.finished):
            earliest = one


class _Walk:
    """One client's way through its log."""

    def __init__(self, checker: _Checker, log: ClientLog) -> None:
        self._checker = checker
        self._log = log
        self._last: Place | None = None
        self._breaks: list[Break] = []
        self._holes: list[Place] = []
        self._offsets: set[Place] = set()
        self._epochs: set[str] = set()  # those that were left
        self.seen: set[Identity] = set()

    def step(self, event: Event) -> None:
        match event:
            case Received():
                self._receive(event)
            case Joined(recovered=True):
                self._resume(event)
            case Joined(recovered=None) if self._last is not None:
                self._fault(Kind.UNTOLD, f"came back and was not told whether all follows: {event}")
                self._begin(event)
            case Gap() if self._last is None:
                self._fault(Kind.UNTOLD, f"a gap before it was in the room: {event}")
                self._begin(event)
            case Joined() | Gap():
                self._begin(event)
                self._checker.verdict.gaps += isinstance(event, Gap)
                self._checker.verdict.unrecovered += isinstance(event, Joined) and event.recovered is False

    def _fault(self, kind: Kind, text: str) -> None:
        self._checker.fault(kind, f"{self._log.client} in {self._log.room}: {text}")

    def _begin(self, event: Joined | Gap) -> None:
        before, after = self._last, event.place
        if after.epoch in self._epochs:
            self._fault(Kind.DISORDERED, f"back in an epoch that had ended: {event}")
        if before is not None and before.epoch == after.epoch and after.offset < before.offset:
            self._fault(Kind.DISORDERED, f"sent back from {before} to {after}")
        if before is not None and before.epoch != after.epoch:
            self._epochs.add(before.epoch)
        self._breaks.append(Break(event.time, before, after))
        self._last = after

    def _resume(self, event: Joined) -> None:
        self._checker.verdict.recovered += 1
        last = self._last
        if last is None:
            self._fault(Kind.UNTOLD, f"recovered though it had no position: {event}")
            self._begin(event)
        elif event.place.epoch != last.epoch or event.place.offset < last.offset:
            self._fault(Kind.UNTOLD, f"recovered from {last}, which is not before {event.place}")

    def _receive(self, event: Received) -> None:
        self._checker.verdict.deliveries += 1
        identity, place, last = (event.publisher, event.sequence), event.place, self._last
        doubled = identity in self.seen or place in self._offsets
        if doubled:
            self._fault(Kind.DOUBLED, f"{identity} at {place} came again")
        self._check_origin(identity, event)
        self.seen.add(identity)
        self._offsets.add(place)
        self._checker.stands(identity, self._log.room, place, self._log.client)
        if last is None:
            self._fault(Kind.UNTOLD, f"{identity} came before it was in the room")
        elif place.epoch != last.epoch:
            self._fault(Kind.UNTOLD, f"{identity} at {place} after {last}: it was not told of the new epoch")
        elif place.offset <= last.offset:
            if not doubled:
                self._fault(Kind.DISORDERED, f"{identity} at {place} came after {last}")
            return
        else:
            hole = range(last.offset + 1, min(place.offset, last.offset + 1 + MOST_OFFSETS))
            self._holes += [Place(last.epoch, offset) for offset in hole]
        self._last = place

    def _check_origin(self, identity: Identity, event: Received) -> None:
        one = self._checker.published.get(identity)
        if one is None:
            self._fault(Kind.FOREIGN, f"{identity} was never published")
        elif one.room != self._log.room or event.room != self._log.room:
            self._fault(Kind.FOREIGN, f"{identity} was published in {one.room}, and says {event.room}")
        elif one.outcome is Outcome.REFUSED:
            self._fault(Kind.FOREIGN, f"{identity} was refused")

    def finish(
        self,
        published: Iterable[Identity],
        places: dict[Identity, Place],
        taken: dict[tuple[str, Place], Identity],
    ) -> None:
        """Find what is missing: offsets that were jumped over, and publications that should have come."""
        missing = {place for place in self._holes if place not in self._offsets}
        for place in sorted(missing):
            who = taken.get((self._log.room, place), "nobody knows what")
            self._fault(Kind.LOST, f"{who} at {place} did not come")
        for identity in published:
            one, at = self._checker.published[identity], places.get(identity)
            if one.outcome is not Outcome.ACCEPTED or identity in self.seen or at in missing:
                continue
            if not any(told.excuses(one, at) for told in self._breaks):
                self._fault(Kind.LOST, f"{identity} at {at} did not come")
