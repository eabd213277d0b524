"""A calm end: on SIGTERM clients leave a few at a time, and reconnect elsewhere without a storm.

uvicorn alone closes its listener and then every WebSocket at once. Here the listener stays open meanwhile:
health checks see 503 and take the node out, and a new handshake is refused with 503.
"""

import asyncio
import logging
import random
import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING, Final

from uvicorn.config import Config
from uvicorn.server import Server

from hubbub.uvicorn.closing import Closing
from hubbub.uvicorn.collector import settle
from hubbub.uvicorn.endpoint import DRAIN, PORTS, Drain
from hubbub.uvicorn.sockets import port_of

if TYPE_CHECKING:
    from uvicorn.server import Protocols

TICK: Final = 0.1
"""Seconds between closes while draining: as often as uvicorn itself looks at its state."""

ROUNDING: Final = 1e-9

_logger = logging.getLogger("uvicorn.error")


class DrainingServer(Server):
    """uvicorn's server, with a drain before its shutdown.

    Args:
        config: uvicorn's.
        window: seconds over which the clients are closed (1012); 0 for all at once. Ctrl-C never waits.
    """

    def __init__(self, config: Config, window: float) -> None:
        super().__init__(config)
        self.drain = Drain()
        self.window = window
        self._interrupted = False  # by Ctrl-C: whoever sits before the terminal does not want to wait

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Make the drain and the ports known to the app, then start."""
        self.lifespan.state[DRAIN] = self.drain
        self.lifespan.state[PORTS] = tuple(map(port_of, sockets or ()))
        await super().startup(sockets)
        settle()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal; a second one ends the drain."""
        if sig == signal.SIGINT or self.should_exit:
            self._interrupted = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then stop as uvicorn does."""
        self.drain.active = True
        if self.window > 0 and not self._interrupted:
            await self._spread_closes()
        await super().shutdown(sockets)

    async def _spread_closes(self) -> None:
        connections: list[Protocols] = [
            one for one in self.server_state.connections if isinstance(one, Closing)
        ]
        if not connections:
            return
        _logger.info("Draining %d WebSockets over %g s", len(connections), self.window)
        random.shuffle(connections)
        pace = Pace(len(connections), self.window)
        while connections and self.server_state.connections and not self._interrupted:
            for _ in range(pace.step()):
                self._close_one(connections)
            await asyncio.sleep(TICK)

    def _close_one(self, connections: "list[Protocols]") -> None:
        """Close the next one that has not left by itself."""
        while connections:
            connection = connections.pop()
            if connection in self.server_state.connections:
                connection.shutdown()
                return


class Pace:
    """How many clients to close at each tick, so that no second has more than its share.

    A tick that comes late makes up for nothing: a busy server would else close in bursts, just when the nodes
    that take its clients are busy too. It takes longer then.

    Args:
        count: all clients.
        window: seconds for all of them.
    """

    __slots__ = ("_owed", "_share")

    def __init__(self, count: int, window: float) -> None:
        self._share = count * TICK / window
        self._owed = max(0.0, 1 - self._share)  # the first one goes at once

    def step(self) -> int:
        """One more tick."""
        self._owed += self._share
        whole = int(self._owed + ROUNDING)
        self._owed -= whole
        return whole
