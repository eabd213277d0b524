"""Reading history as the protocol has it."""

from typing import Final

from hubbub.brokers import HistoryPage
from hubbub.core.errors import HistoryGone
from hubbub.core.positions import Position
from hubbub.hub import Hub

NOWHERE: Final = Position("", 0)
"""What a client writes that has no position."""


async def read_history(
    hub: Hub, room: str, since: Position | None, limit: int | None, *, reverse: bool
) -> HistoryPage:
    """A page of a room's history.

    Args:
        hub: the hub.
        room: its name.
        since: only what came after it, or before it with `reverse`; an empty epoch stands for the room's
            present one, and without an offset, too, for the beginning of what is kept.
        limit: most publications; 0 for the position alone, None for all.
        reverse: newest first.

    Raises:
        ConfigurationError: if the room keeps no history.
        HistoryGone: if what is asked for is not all kept.
        BrokerError: if the broker could not be asked.
    """
    if since == NOWHERE and not reverse:
        since = None
    if since is not None and not since.epoch:
        page = await hub.history(room, limit=0)
        since = Position(page.position.epoch, since.offset)
    if since is None or not reverse:
        return await hub.history(room, since=since, limit=limit, reverse=reverse)
    page = await hub.history(room, reverse=True)
    if page.position.epoch != since.epoch:
        raise HistoryGone("The room began anew")
    before = [
        one for one in page.publications if one.position is not None and one.position.offset < since.offset
    ]
    return HistoryPage(before[:limit], page.position)
