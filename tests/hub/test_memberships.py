"""What is left of a member that cannot come in: nothing."""

import pytest
from guests import guest
from polling import turns

from hubbub import Disconnected, History, Hub, Limits

OUTBOX = 20_000


async def test_a_client_that_what_it_missed_is_too_much_for_does_not_come_in() -> None:
    hub = Hub(limits=Limits(outbox_bytes=OUTBOX, close_timeout=0.05))
    hub.room("r", history=History(size=20), presence=True)
    async with hub:
        seen = await hub.broadcast_to_room("r", "seen")
        for _ in range(8):
            await hub.broadcast_to_room("r", "x" * (OUTBOX // 20))
        async with guest(hub, rooms=("busy",)) as ada:
            ada.client.pause()
            while ada.me.transport.buffered < OUTBOX * 0.7:
                await hub.broadcast_to_room("busy", "y" * (OUTBOX // 20))
                await turns(2)
            with pytest.raises(Disconnected):
                await ada.me.join("r", since=seen.position)
            assert ada.me.closed is not None
            assert ada.me.closed.code == 1013
        assert (hub.rooms, ada.me.rooms, hub.room_count("r")) == ([], [], 0)
        assert await hub.presence("r") == []
