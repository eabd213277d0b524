"""Servers with the gateway."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from gateway_sdk import SECRET, Server
from server_process import UVICORN, running

COMMAND = (
    *UVICORN,
    *("--app-dir", "tests/gateway", "gateway_app:app"),
    *("--ws", "hubbub.uvicorn:WebSocketProtocol", "--log-level", "info"),
)

StartServer = Callable[..., AbstractContextManager[Server]]


def server_starter(folder: Callable[[str], Path]) -> StartServer:
    """Starts servers, with other times given in the environment, that log into folders of their own."""

    def start(environment: Mapping[str, str] | None = None) -> AbstractContextManager[Server]:
        log = folder("gateway") / "server.log"
        return running(COMMAND, log, {"GATEWAY_SECRET": SECRET, **(environment or {})})

    return start
