"""What there is of the admin page only while the hub runs."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from hubbub.application import Hub
from hubbub.connection import Connection
from hubbub.core.errors import HubNotRunning
from hubbub.core.messages import Payload
from hubbub.hub.parts import Parts
from hubbub.server.admin.commands import Commands
from hubbub.server.admin.connection_rows import ConnectionRows
from hubbub.server.admin.connection_table import ConnectionTable
from hubbub.server.admin.feed import Feed
from hubbub.server.admin.room_table import RoomTable
from hubbub.server.admin.snapshots import Snapshot, take_snapshot
from hubbub.server.admin.taps import Seen, Taps
from hubbub.server.admin.viewers import Viewers


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page says after its key."""

    tap: Annotated[str, Meta(min_length=1, max_length=255)] | None
    """The connection whose messages it wants to see; None for none."""


@dataclass(frozen=True, slots=True)
class _Life:
    """The parts of it."""

    feed: Feed
    rooms: RoomTable
    connections: ConnectionTable
    commands: Commands
    taps: Taps


class Backstage:
    """A `Companion` of the hub, beginning after its gateway.

    Args:
        hub: what is looked into.
        viewers: the open pages.
    """

    def __init__(self, hub: Hub, viewers: Viewers) -> None:
        self._hub = hub
        self._viewers = viewers
        self._life: _Life | None = None  # None while the hub is not running
        viewers.came = self._came
        viewers.went = self._went
        viewers.asked = self._asked
        self._everywhere = hub.gateway.everywhere  # carries the page's questions: it has to begin first
        hub.companions.append(self)

    async def begin(self, parts: Parts) -> None:
        """The hub begins."""
        hub, everywhere = self._hub, self._everywhere
        survey, clients = everywhere.survey, everywhere.clients
        self._life = _Life(
            Feed(parts, partial(take_snapshot, hub, parts), self._heard),
            RoomTable(hub, parts, survey),
            ConnectionTable(parts, survey, ConnectionRows(clients, parts.nodes.id)),
            Commands(hub, parts, survey, clients),
            Taps(parts, self._seen),
        )

    async def end(self) -> None:
        """The hub ends."""
        life, self._life = self._running, None
        self._viewers.dismiss()
        await life.feed.stop()
        await life.taps.stop()

    @property
    def _running(self) -> _Life:
        if self._life is None:
            raise HubNotRunning
        return self._life

    @property
    def rooms(self) -> RoomTable:
        """The table of rooms. Raises `HubNotRunning`, as all of these do."""
        return self._running.rooms

    @property
    def connections(self) -> ConnectionTable:
        """The table of connections."""
        return self._running.connections

    @property
    def commands(self) -> Commands:
        """What can be done."""
        return self._running.commands

    # What the pages tell

    def _came(self, viewer: Connection) -> None:
        feed = self._running.feed
        self._viewers.tell(
            {"hello": self._hub.parts.nodes.id, "now": time.time(), "recent": feed.recent}, [viewer]
        )
        feed.look(True)

    def _went(self, viewer: Connection) -> None:
        if self._life is not None:
            self._life.feed.look(len(self._viewers) > 0)
            self._life.taps.look(viewer, None)

    def _asked(self, viewer: Connection, payload: Payload) -> None:
        """What is no request is ignored."""
        try:
            request = _requests.decode(payload)
        except (msgspec.DecodeError, UnicodeError):
            return
        self._running.taps.look(viewer, request.tap)

    # What the nodes tell

    def _heard(self, snapshot: Snapshot) -> None:
        self._viewers.tell({"snapshot": snapshot})

    def _seen(self, seen: Seen, viewers: list[Connection]) -> None:
        self._viewers.tell({"frames": seen}, viewers)


_requests: Final = msgspec.json.Decoder(_Request)
