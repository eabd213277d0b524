"""A room as it should be, run by chance: reconnects, and every loss that a client may be told of."""

import random
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from delivery_logs import ClientLog, Gap, Joined, Outcome, Place, Published, Received

ROOM = "r"
Run: TypeAlias = tuple[list[Published], list[ClientLog]]


@dataclass
class Member:
    """A client of the simulated room: how much of the room's stream it has been given."""

    log: ClientLog
    reached: int = 0
    online: bool = False


@dataclass
class SimulatedRoom:
    """One room, four clients, three publishers."""

    chance: random.Random
    window: int = 4
    clock: "count[int]" = field(default_factory=lambda: count(1))
    epoch: int = 0
    top: int = 0
    stream: list[tuple[Place, str, int]] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place(str(self.epoch), self.top)

    def publish(self) -> None:
        publisher = self.chance.choice("pqr")
        sequence, now = len(self.published), next(self.clock)
        outcome = self.chance.choice([Outcome.ACCEPTED, Outcome.ACCEPTED, *Outcome])
        places: tuple[Place, ...] = ()
        if outcome is Outcome.ACCEPTED or (outcome is Outcome.UNKNOWN and self.chance.random() < 0.5):
            self.top += 1
            self.stream.append((self.place, publisher, sequence))
            places = (self.place,) * self.chance.choice([0, 1, 2]) if outcome is Outcome.ACCEPTED else ()
        end = now + self.chance.choice([0.5, 3])
        self.published.append(Published(publisher, sequence, ROOM, now, end, outcome, places))

    def deliver(self, member: Member, most: int) -> None:
        while member.online and member.reached < len(self.stream) and most:
            place, publisher, sequence = self.stream[member.reached]
            member.log.events.append(Received(next(self.clock), place, ROOM, publisher, sequence))
            member.reached += 1
            most -= 1

    def come(self, member: Member) -> None:
        member.online = True
        if not member.log.events:
            member.reached = len(self.stream)
            member.log.events.append(Joined(next(self.clock), self.place))
            return
        missed = self.stream[member.reached :]
        whole = len(missed) <= self.window and self.epoch_of(member) == str(self.epoch)
        member.log.events.append(Joined(next(self.clock), self.place, whole))
        if not whole:
            member.reached = len(self.stream)

    def epoch_of(self, member: Member) -> str:
        """The epoch of the client's position."""
        return next(event.place.epoch for event in reversed(member.log.events))

    def lose(self, member: Member) -> None:
        """Tell a client that is there of a loss."""
        member.reached = len(self.stream)
        member.log.events.append(Gap(next(self.clock), self.place))

    def empty(self) -> None:
        """The broker comes back with nothing."""
        self.epoch, self.top = self.epoch + 1, 0
        for member in self.members:
            if member.online:
                self.lose(member)

    def step(self) -> None:
        member = self.chance.choice(self.members)
        action = self.chance.random()
        if action < 0.45:
            self.publish()
        elif action < 0.75:
            self.deliver(member, self.chance.randint(1, 4))
        elif action < 0.95:
            if member.online:
                member.online = False
            else:
                self.come(member)
        elif action < 0.98 and member.online:
            self.lose(member)
        elif action >= 0.98:
            self.empty()

    def run(self, steps: int) -> Run:
        self.members = [Member(ClientLog(f"client {number}", ROOM)) for number in range(4)]
        for _ in range(steps):
            self.step()
        for member in self.members:
            if not member.online:
                self.come(member)
            self.deliver(member, len(self.stream))
        return self.published, [member.log for member in self.members]
