"""What hubs tell each other: over rooms of the broker that no client can join or publish to."""

from collections.abc import Callable
from typing import Final

from hubbub.brokers import Broker
from hubbub.core.history import History
from hubbub.core.messages import Publication
from hubbub.core.options import RoomOptions
from hubbub.hub.following import Following

MARK: Final = "#"
"""What the names of these rooms begin with. `Limits.check_room_name` lets none of a user's have it."""

OPTIONS: Final = RoomOptions(history=History(size=200, ttl=60.0, bytes=1_048_576))
"""With a short history, so that the broker repairs what its link to a hub loses."""

LEDGERS: Final = f"{MARK}ledger:"
"""What the names of rooms begin with that keep what is said there."""

LEDGER: Final = RoomOptions(history=History(size=40_000, ttl=10 * 365 * 86_400.0, bytes=33_554_432))
"""With a history that a `Ledger` can be read from."""


def with_own_rooms(options: Callable[[str], RoomOptions], *plain: str) -> Callable[[str], RoomOptions]:
    """The options of rooms by name, those of the rooms of hubs, and the default ones for those `plain`.

    A pattern like ``{name:path}`` fits any name, and is not meant for these.
    """
    default = RoomOptions()

    def find(room: str) -> RoomOptions:
        if room.startswith(MARK):
            return LEDGER if room.startswith(LEDGERS) else OPTIONS
        return default if room in plain else options(room)

    return find


class Signals:
    """Messages between hubs, in one order per room, to every hub that listens, the sender too.

    With a broker of a single process they do not leave it.

    Args:
        broker: carries them.
        following: the subscriptions at the broker.
    """

    __slots__ = ("_broker", "_following", "_listeners")

    def __init__(self, broker: Broker, following: Following) -> None:
        self._broker = broker
        self._following = following
        self._listeners: dict[str, tuple[Callable[[bytes], None], Callable[[], None]]] = {}

    async def listen(self, room: str, heard: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """Hear what is sent in the room from now on.

        Args:
            room: its name, beginning with ``#``.
            heard: called with each message.
            lost: called when messages were lost for good.

        Raises:
            BrokerError: if the broker does not answer.
        """
        self._listeners[room] = (heard, lost)
        if not self._broker.shared:
            return
        try:
            await self._following.follow(room)
        except BaseException:
            del self._listeners[room]
            raise

    def ignore(self, room: str) -> None:
        """Hear nothing of the room any more."""
        if self._listeners.pop(room, None) is not None and self._broker.shared:
            self._following.unfollow(room)

    async def send(self, room: str, data: bytes) -> None:
        """Send to all that listen. Raises `BrokerError` if the broker did not take it."""
        if self._broker.shared:
            await self._broker.publish(room, data, history=OPTIONS.history)
        else:
            self._hear(room, data)

    def heard(self, publication: Publication) -> None:
        """The broker delivered a publication that is for no room with members."""
        if isinstance(publication.payload, bytes):
            self._hear(publication.room, publication.payload)

    def _hear(self, room: str, data: bytes) -> None:
        listener = self._listeners.get(room)
        if listener is not None:
            listener[0](data)

    def interrupted(self, room: str) -> bool:
        """The room lost messages; False if it is none of these."""
        listener = self._listeners.get(room)
        if listener is not None:
            listener[1]()
        return room.startswith(MARK)
