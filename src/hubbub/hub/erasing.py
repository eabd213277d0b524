"""One publication taken out of a history, on all nodes.

The broker's store is what counts, and no read after that has it. The nodes are told as well, so that none
keeps what it has read or delivered before: that is for memory, nobody's completeness depends on it.
"""

import logging
import re
from typing import Final

import msgspec

from hubbub.brokers import Broker
from hubbub.core.errors import BrokerError
from hubbub.core.history import History
from hubbub.core.positions import MAX_EPOCH, Position
from hubbub.hub.memberships import Memberships
from hubbub.hub.nodes import Nodes

ERASED: Final = "erased"

MAX_OFFSET: Final = 2**63
"""No offset is as large."""

_EPOCH: Final = re.compile(f"[!-~]{{1,{MAX_EPOCH}}}")

_logger = logging.getLogger("hubbub")


class _Erased(msgspec.Struct, frozen=True, array_like=True):
    """Which publication it was."""

    room: str
    epoch: str
    offset: int


class Erasing:
    """Erases, and tells the nodes.

    Args:
        broker: has the histories.
        nodes: are told.
        members: what this node keeps for them.
    """

    __slots__ = ("_broker", "_members", "_nodes")

    def __init__(self, broker: Broker, nodes: Nodes, members: Memberships) -> None:
        self._broker = broker
        self._nodes = nodes
        self._members = members
        nodes.handle(ERASED, self._heard)

    async def erase(self, room: str, history: History, epoch: str | None, offset: int) -> bool:
        """Take one publication out; False if it is not there. Raises `BrokerError` if that is unknown.

        The nodes are told in any case: an erasure whose answer was lost is asked for again.
        """
        if not 0 < offset < MAX_OFFSET or (epoch is not None and not _EPOCH.fullmatch(epoch)):
            return False
        if epoch is None:
            page = await self._broker.history(room, history, since=None, limit=0, reverse=False)
            epoch = page.position.epoch
        erased = await self._broker.erase(room, history, Position(epoch, offset))
        self._members.erased(room, Position(epoch, offset))
        try:
            await self._nodes.command(ERASED, msgspec.msgpack.encode(_Erased(room, epoch, offset)))
        except BrokerError as error:
            _logger.warning("other nodes were not told what was erased in %s: %s", room, error)
        return erased

    def _heard(self, node: str, data: bytes) -> None:
        said = msgspec.msgpack.decode(data, type=_Erased)
        self._members.erased(said.room, Position(said.epoch, said.offset))
