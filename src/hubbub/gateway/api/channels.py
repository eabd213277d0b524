"""The methods that read: who is in a channel, what it remembers, which channels and nodes there are."""

import time

from hubbub.centrifuge.errors import ErrorCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.results import HistoryResult, PresenceResult, PresenceStatsResult
from hubbub.core.options import RoomOptions
from hubbub.core.positions import Position
from hubbub.core.presence import Present
from hubbub.gateway.api.publishing import Known
from hubbub.gateway.api.refusals import need, refuse
from hubbub.gateway.api.requests import (
    ChannelRequest,
    ChannelsRequest,
    HistoryEraseRequest,
    HistoryRequest,
    InfoRequest,
)
from hubbub.gateway.api.results import (
    ChannelInfo,
    ChannelsResult,
    Done,
    HistoryEraseResult,
    InfoResult,
    NodeInfo,
)
from hubbub.gateway.everywhere import Everywhere
from hubbub.gateway.reading import read_history
from hubbub.gateway.service import member_info
from hubbub.gateway.surveys import NodeFigures
from hubbub.hub import Hub


class Channels:
    """``presence``, ``presence_stats``, the methods about histories, ``channels`` and ``info``.

    Args:
        hub: of whose rooms.
        everywhere: asks the other nodes.
        known: tells unknown channels.
        version: the server's.
    """

    __slots__ = ("_everywhere", "_hub", "_known", "_version")

    def __init__(self, hub: Hub, everywhere: Everywhere, known: Known, version: str) -> None:
        self._hub = hub
        self._everywhere = everywhere
        self._known = known
        self._version = version

    async def presence(self, request: ChannelRequest) -> PresenceResult:
        """Who is there, by client id; 108 where that is not known."""
        found = await self._present(request.channel)
        return PresenceResult({one.client: member_info(one) for present in found for one in present.members})

    async def presence_stats(self, request: ChannelRequest) -> PresenceStatsResult:
        """How many are there. All that are nobody count as one user."""
        found = await self._present(request.channel)
        return PresenceStatsResult(
            sum(len(present.members) for present in found), len({present.user for present in found})
        )

    async def history(self, request: HistoryRequest) -> HistoryResult:
        """A page of history; 108 where there is none, 112 where what followed `since` is not kept."""
        room, since = request.channel, None
        self._history_options(room)
        if request.since is not None:
            since = Position(request.since.epoch, request.since.offset)
        limit = request.limit if request.limit >= 0 else None
        page = await read_history(self._hub, room, since, limit, reverse=request.reverse)
        publications = [JSON_CODEC.channel_publication(one) for one in page.publications]
        return HistoryResult(publications, page.position.epoch, page.position.offset)

    async def history_erase(self, request: HistoryEraseRequest) -> HistoryEraseResult:
        """Take one publication out of the history; 108 where there is none."""
        self._history_options(request.channel)
        erased = await self._hub.erase(request.channel, request.offset, epoch=request.epoch or None)
        return HistoryEraseResult(erased)

    async def history_remove(self, request: ChannelRequest) -> Done:
        """Forget the history; 108 where there is none."""
        self._history_options(request.channel)
        await self._hub.remove_history(request.channel)
        return Done()

    async def channels(self, request: ChannelsRequest) -> ChannelsResult:
        """The channels with subscribers, of any kind, on all nodes."""
        found = await self._everywhere.surveys.rooms(request.pattern)
        return ChannelsResult({name: ChannelInfo(count) for name, count in found.items()})

    async def info(self, request: InfoRequest) -> InfoResult:
        """The nodes. One that does not answer in time has what it announced last."""
        figures = await self._everywhere.surveys.figures()
        now = time.time()
        nodes: list[NodeInfo] = []
        for node in self._hub.nodes:
            known = figures.get(node.id) or NodeFigures(node.connections, 0, node.rooms, 0)
            uptime = max(int(now - node.started), 0)
            nodes.append(
                NodeInfo(
                    node.id,
                    node.name,
                    self._version,
                    known.connections,
                    known.users,
                    known.memberships,
                    known.rooms,
                    uptime,
                )
            )
        return InfoResult(nodes)

    def _options(self, room: str) -> RoomOptions:
        need(room)
        self._hub.limits.check_room_name(room)
        if not self._known(room):
            refuse(ErrorCode.UNKNOWN_CHANNEL)
        return self._hub.options(room) or RoomOptions()

    def _history_options(self, room: str) -> None:
        if self._options(room).history is None:
            refuse(ErrorCode.NOT_AVAILABLE)

    async def _present(self, room: str) -> list[Present]:
        if not self._options(room).presence:
            refuse(ErrorCode.NOT_AVAILABLE)
        return await self._hub.presence(room)
