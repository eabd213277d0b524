"""Running an app on uvicorn as it should run with a hub: our protocol classes, limits and drain."""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any

from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.server import Server
from uvicorn.supervisors import ChangeReload, Multiprocess, multiprocess

from hubbub.core.errors import ConfigurationError
from hubbub.core.limits import Limits
from hubbub.uvicorn.certificates import server_context
from hubbub.uvicorn.drain import RETIRE, DrainingServer, longest_drain
from hubbub.uvicorn.sockets import port_of

EXIT_TIME = 30.0
"""Seconds from SIGTERM to the end of the process, at most."""

LAST_STEPS = 3.0
"""Seconds of them for what follows when a handler had to be cancelled: its end, and the hub's."""

_Process = multiprocess.Process

WORKER_START = 30
"""Seconds that a new worker may take to import the app. uvicorn's 5 are too few on a machine that is busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How to run an app."""

    host: str = "127.0.0.1"
    port: int = 8000
    more: tuple[tuple[str, int], ...] = ()
    """Further addresses and ports to listen on. The app tells them apart by `PORTS`."""

    workers: int = 1
    reload: bool = False
    drain: float = 10.0
    """Seconds over which clients are closed after SIGTERM."""

    log_level: str = "info"
    uvicorn: dict[str, Any] = field(default_factory=dict)
    """Further arguments of `uvicorn.Config`, like ``ssl_keyfile``."""


class RunConfig(Config):
    """uvicorn's configuration and the drain, which so reaches the workers too.

    Args:
        app: an ASGI app or its import string.
        drain: seconds over which clients are closed after SIGTERM.
        options: of `uvicorn.Config`.
    """

    def __init__(self, app: Any, drain: float, **options: Any) -> None:
        super().__init__(app, **options)
        self.drain = drain


class Workers(Multiprocess):
    """uvicorn's supervisor of several processes, whose servers drain."""

    def run(self) -> None:
        """Start the workers and look after them until a signal comes."""
        # The supervisor makes its processes by this name and offers no other way to choose their server.
        multiprocess.Process = Worker  # type: ignore[misc]
        super().run()

    def terminate_all(self) -> None:
        """All end: nobody is left to take the clients of one."""
        for worker in self.processes:
            _Process.terminate(worker)


class Worker(_Process):
    """One of the workers."""

    @property
    def server(self) -> Server:
        """The server of this process."""
        if self._server is None:
            assert isinstance(self.config, RunConfig)
            self._server = DrainingServer(self.config, self.config.drain)
        return self._server

    def ping(self, timeout: float = 5) -> bool:
        """Whether it answers in time. uvicorn's waits to the end for one that has died without an answer."""
        try:
            self.parent_conn.send(b"ping")
            if self.parent_conn in connection.wait([self.parent_conn, self.process.sentinel], timeout):
                self.parent_conn.recv()
                return True
        except (OSError, EOFError):
            pass
        return False

    def terminate(self) -> None:
        """End this one alone: another takes its place, or fewer are wanted."""
        if RETIRE is not None and self.process.exitcode is None and self.process.pid is not None:
            os.kill(self.process.pid, RETIRE)
        super().terminate()


def configure(app: Any, options: RunOptions) -> RunConfig:
    """The configuration for an ASGI app or its import string (``"module:app"``)."""
    return RunConfig(
        app,
        options.drain,
        host=options.host,
        port=options.port,
        http="hubbub.uvicorn:HttpProtocol",
        ws="hubbub.uvicorn:WebSocketProtocol",
        ws_max_size=Limits().message_bytes,
        workers=options.workers,
        reload=options.reload,
        log_level=options.log_level,
        timeout_worker_healthcheck=WORKER_START,
        timeout_graceful_shutdown=max(1, int(EXIT_TIME - LAST_STEPS - longest_drain(options.drain))),
        **options.uvicorn,
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. What comes before the app has started waits in its queue.

    Raises:
        ConfigurationError: if the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigurationError(f"Cannot listen on {host} port {port}: {said}") from error
    bound.set_inheritable(True)
    shown = f"[{host}]" if ":" in host else host
    logging.getLogger("uvicorn.error").info("Listening on %s port %d (Ctrl-C to stop)", shown, port_of(bound))
    return bound


def run(app: Any, options: RunOptions, announce: Callable[..., None] = lambda *ports: None) -> int:
    """Serve until a signal comes; return the exit status.

    Args:
        app: an ASGI app, or its import string, which several workers and reload need.
        options: how.
        announce: called with the ports once they are bound.

    Raises:
        ConfigurationError: if the address cannot be bound, or there is no such certificate with that key.
    """
    if certificate := options.uvicorn.get("ssl_certfile"):
        server_context(certificate, options.uvicorn.get("ssl_keyfile"))
    config = configure(app, options)
    if not (config.should_reload or config.workers > 1):
        config.load_app()
    bound = [bind(host, port) for host, port in ((options.host, options.port), *options.more)]
    announce(*map(port_of, bound))
    if config.should_reload:
        # Whoever saves a file wants to see the change now.
        server: Server = DrainingServer(config, window=0)
        ChangeReload(config, target=server.run, sockets=bound).run()
        return 0
    if config.workers > 1:
        workers = Workers(config, sockets=bound)
        workers.run()
        failed = any(one.exitcode == STARTUP_FAILURE for one in workers.processes)
        return STARTUP_FAILURE if failed else 0
    server = DrainingServer(config, options.drain)
    try:
        server.run(sockets=bound)
    except KeyboardInterrupt:
        logging.getLogger("uvicorn.error").debug("interrupted")
    return 0 if server.started else STARTUP_FAILURE
