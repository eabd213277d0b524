"""``hubbub sub``: listen to a room of a running server, as any client of the Centrifuge protocol does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect

from hubbub.server.commands.options import read_configuration
from hubbub.server.commands.talking import TIMEOUT, address_of, line_of, talking
from hubbub.server.commands.token import make_token
from hubbub.server.configuration import Configuration

PATH: Final = "/connection/websocket"
TTL: Final = 86_400.0
"""Seconds after which the listener is asked for a new token, and ends."""


@click.command(short_help="Listen to a room.")
@click.argument("room")
@click.option("--user", default="hubbub-cli", show_default=True, metavar="ID", help="Who listens.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many publications.")
@talking
def sub(room: str, user: str, count: int | None, file: Path | None, url: str | None, insecure: bool) -> None:
    """Print what is published in ROOM, one line of JSON each, until Ctrl-C.

    Who comes and goes, where the room tells it, goes to the standard error.
    """
    configuration = read_configuration(file)
    address = address_of(configuration.settings, url, insecure)
    hello = _commands(configuration, user, room)
    try:
        with connect("ws" + address.removeprefix("http") + PATH, open_timeout=TIMEOUT, proxy=None) as socket:
            socket.send(hello)
            _print(_pushes(socket, room), count)
    except KeyboardInterrupt:
        return
    except ConnectionClosed as error:
        end = error.rcvd
        said = f"{end.code} {end.reason}" if end else "the connection was lost"
        raise click.ClickException(f"The server ended it: {said}") from error
    except (OSError, WebSocketException) as error:
        raise click.ClickException(f"Cannot reach {address}: {error}") from error


def _commands(configuration: Configuration, user: str, room: str) -> str:
    """Connect and subscribe, in one frame."""
    connecting: dict[str, object] = {"name": "hubbub"}
    subscribing: dict[str, object] = {"channel": room}
    if configuration.settings.secret or not configuration.settings.anonymous:
        connecting["token"] = make_token(configuration, user, TTL)
        subscribing["token"] = make_token(configuration, user, TTL, room)
    commands = ({"id": 1, "connect": connecting}, {"id": 2, "subscribe": subscribing})
    return "\n".join(map(json.dumps, commands))


def _pushes(socket: ClientConnection, room: str) -> Iterator[dict[str, Any]]:
    """What is pushed about the room. Raises `click.ClickException` for an error or the subscription's end."""
    for frame in socket:
        for line in (frame if isinstance(frame, str) else frame.decode()).splitlines():
            reply = json.loads(line)
            if not reply:  # a ping
                socket.send("{}")
            if failure := reply.get("error"):
                raise click.ClickException(f"The server says: {failure['message']} ({failure['code']})")
            if "subscribe" in reply:
                click.echo(f"listening to {room}", err=True)
            push = reply.get("push", {})
            if "disconnect" in push or "unsubscribe" in push:
                raise click.ClickException(f"The server ended it: {line_of(push)}")
            if push.get("channel") == room:
                yield push
    raise click.ClickException("The server ended it")


def _print(pushes: Iterator[dict[str, Any]], count: int | None) -> None:
    printed = 0
    for push in pushes:
        for kind in ("join", "leave"):
            if kind in push:
                click.echo(f"{kind} {push[kind].get('info', {}).get('user') or '-'}", err=True)
        if "pub" in push:
            click.echo(line_of(push["pub"].get("data")))
            printed += 1
        if printed == count:
            return
