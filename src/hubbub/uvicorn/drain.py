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

from uvicorn.config import Config
from uvicorn.server import Server

from hubbub.uvicorn.closing import Closing
from hubbub.uvicorn.endpoint import DRAIN, PORTS, Drain
from hubbub.uvicorn.sockets import port_of

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
        connections = [one for one in self.server_state.connections if isinstance(one, Closing)]
        if not connections:
            return
        _logger.info("Draining %d WebSockets over %g s", len(connections), self.window)
        random.shuffle(connections)
        began = asyncio.get_running_loop().time()
        for index, connection in enumerate(connections):
            await self._wait_until(began + self.window * index / len(connections))
            if connection in self.server_state.connections:
                connection.shutdown()

    async def _wait_until(self, due: float) -> None:
        """Return at that loop time, or sooner when nobody is left or somebody is in a hurry."""
        loop = asyncio.get_running_loop()
        connections = self.server_state.connections
        while (left := due - loop.time()) > 0 and connections and not self._interrupted:  # noqa: ASYNC110
            await asyncio.sleep(min(left, 0.1))  # as often as uvicorn itself looks at its state
