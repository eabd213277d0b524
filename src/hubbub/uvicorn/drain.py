"""A calm end: on SIGTERM clients leave a few at a time, and reconnect elsewhere without a storm.

Clients are WebSockets, and HTTP clients that come back by themselves, like an EventSource.

uvicorn alone closes its listener and then every WebSocket at once. Here the listener stays open meanwhile:
health checks see 503 and take the node out, and a new handshake is refused with 503. Only a worker that goes
alone closes it at once, because the others listen at the same ports.
"""

import asyncio
import logging
import random
import signal
import socket
import time
from types import FrameType
from typing import TYPE_CHECKING, Final

from uvicorn.config import Config
from uvicorn.server import Server

from hubbub.uvicorn.closing import Closing
from hubbub.uvicorn.collector import settle
from hubbub.uvicorn.endpoint import DRAIN, PORTS, Drain
from hubbub.uvicorn.http_responses import HttpResponseProtocol
from hubbub.uvicorn.listening import listen
from hubbub.uvicorn.service_manager import READY, STOPPING, notify
from hubbub.uvicorn.sockets import port_of

if TYPE_CHECKING:
    from uvicorn.server import Protocols

RETIRE: Final = getattr(signal, "SIGUSR1", None)
"""Tells a worker, before SIGTERM, that it goes alone; None where the platform has no such signal."""

TICK: Final = 0.02
"""Seconds between closes while draining."""

LATE: Final = 0.05
"""Seconds of lateness that are made up for."""

LONGER: Final = 1.1
"""The closes take so many times the window. What is closed at an even pace does not arrive at one: a little
less than a second may have leaves room for that."""

LONGEST: Final = 26.0
"""Most seconds of any drain: the process has more to do until its end."""

RESPONSES: Final = 2.0
"""Seconds from the signal, at least, until responses are broken off that have not said how long they are."""

ROUNDING: Final = 1e-9

_logger = logging.getLogger("uvicorn.error")


def leave_alone() -> None:
    """End this process as SIGTERM does, but leave its ports to the other workers, if there are any."""
    if RETIRE is not None and callable(signal.getsignal(RETIRE)):
        signal.raise_signal(RETIRE)
    signal.raise_signal(signal.SIGTERM)  # os.kill would end the process at once on Windows


def longest_drain(window: float) -> float:
    """Seconds after which whoever is still there is closed, however late the server was."""
    return min(1.25 * window, LONGEST)


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
        await super().startup(None if sockets is None else [])
        if self.config.workers > 1 and RETIRE is not None:
            signal.signal(RETIRE, self._retire)
        await listen(self, sockets or ())
        settle()
        notify(READY)

    def _retire(self, sig: int, frame: FrameType | None) -> None:
        """The other workers go on."""
        self.drain.alone = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note the signal; a second one ends the drain.

        Of several workers only Ctrl-C does: a SIGTERM for the whole process group reaches each of them twice,
        because the supervisor passes its own on.
        """
        if sig == signal.SIGINT or (self.should_exit and self.config.workers == 1):
            self._interrupted = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then stop as uvicorn does."""
        self.drain.active = True
        began = time.monotonic()
        if self.drain.alone:
            for server in self.servers:
                server.close()
        else:
            notify(STOPPING)
        if self.window > 0 and not self._interrupted:
            await self._spread_closes()
        patience = 0.0 if self._interrupted else self.window
        left = began + max(RESPONSES, patience) - time.monotonic()
        breaking = asyncio.get_running_loop().call_later(max(0.0, left), self._break_off)
        try:
            await super().shutdown(sockets)
        finally:
            breaking.cancel()

    def _break_off(self) -> None:
        """End responses that could go on for ever: what they are is known to their apps only."""
        for one in list(self.server_state.connections):
            if isinstance(one, HttpResponseProtocol) and one.endless:
                one.end_response()

    async def _spread_closes(self) -> None:
        connections: list[Protocols] = [
            one
            for one in self.server_state.connections
            if isinstance(one, Closing) or (isinstance(one, HttpResponseProtocol) and one.returns)
        ]
        if not connections:
            return
        _logger.info("Draining %d clients over %g s", len(connections), self.window)
        random.shuffle(connections)
        now = time.monotonic()
        end = now + longest_drain(self.window)
        pace = Pace(len(connections), min(self.window * LONGER, longest_drain(self.window)), now)
        while connections and self.server_state.connections and not self._interrupted and now < end:
            for _ in range(pace.due(now)):
                self._close_one(connections)
            await asyncio.sleep(TICK)
            now = time.monotonic()

    def _close_one(self, connections: "list[Protocols]") -> None:
        """Close the next one that has not left by itself."""
        while connections:
            connection = connections.pop()
            if connection in self.server_state.connections:
                connection.shutdown()
                return


class Pace:
    """How many clients to close by now, so that no second has more than its share.

    What a busy server is late by is made up for as far as `LATE` goes and no further: the clients would else
    be closed in bursts, just when the nodes that take them are busy too. It takes longer then.

    Args:
        count: all clients.
        seconds: for all of them.
        now: when it begins.
    """

    __slots__ = ("_looked", "_most", "_owed", "_rate")

    def __init__(self, count: int, seconds: float, now: float) -> None:
        self._rate = count / seconds
        self._most = 1 + self._rate * LATE
        self._owed = 1.0  # the first one goes at once
        self._looked = now

    def due(self, now: float) -> int:
        """How many more to close."""
        self._owed = min(self._most, self._owed + (now - self._looked) * self._rate)
        self._looked = now
        whole = int(self._owed + ROUNDING)
        self._owed -= whole
        return whole
