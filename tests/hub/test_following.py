"""What is noted of the rooms that a process follows."""

from hubbub.brokers.memory import MemoryBroker
from hubbub.core.history import History
from hubbub.core.options import RoomOptions
from hubbub.hub.following import MAX_RECORDED, Following

OPTIONS = RoomOptions(history=History(size=2 * MAX_RECORDED))


class Receiver:
    """The hub, as far as it follows."""

    def __init__(self, following: Following) -> None:
        self.publication = following.delivered
        self.passed = following.passed
        self.interrupted = following.interrupted


async def followed() -> tuple[MemoryBroker, Following]:
    """A broker, and the room "r" that is followed at it."""
    broker = MemoryBroker()
    following = Following(broker, lambda room: OPTIONS)
    await broker.start(Receiver(following))  # type: ignore[arg-type]
    await following.follow("r")
    return broker, following


async def test_who_stops_recording_leaves_the_recordings_of_others_alone() -> None:
    broker, following = await followed()
    first, second = following.record("r"), following.record("r")
    following.stop_recording("r", second)  # both have nothing yet: they are equal
    published = await broker.publish("r", "a", history=OPTIONS.history)
    assert (first, second) == ([published], [])


async def test_a_recording_is_bounded() -> None:
    broker, following = await followed()
    recording = following.record("r")
    for _ in range(MAX_RECORDED + 10):
        await broker.publish("r", "", history=OPTIONS.history)
    assert len(recording) == MAX_RECORDED
