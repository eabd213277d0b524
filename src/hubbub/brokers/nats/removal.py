"""Forgetting a room's publications, with its offsets going on."""

from typing import Final

from hubbub.brokers.nats.store import RoomStore, TailMoved
from hubbub.core.errors import BrokerError

TRIES: Final = 20


async def remove_history(store: RoomStore, room: str) -> None:
    """Write where the room stands and that nothing before is kept, then delete what was before.

    Raises:
        BrokerError: if it was not done, or if that is unknown.
    """
    for _ in range(TRIES):
        last = await store.last(room)
        if last is None or last[1].is_marker:
            return
        try:
            marker = await store.mark(room, last[0].position, last[0])
        except TailMoved:
            continue
        await store.purge(room, marker.seq)
        return
    raise BrokerError("other nodes publish too fast")
