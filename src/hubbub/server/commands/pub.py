"""``hubbub pub``: publish into a room of a running server."""

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from hubbub.server.commands.talking import Api, data_of, talking, with_api_key


@click.command(short_help="Publish into a room.")
@click.argument("room")
@click.argument("data")
@click.option(
    "--idempotency-key", metavar="KEY", help="Publish only if no other publication had the same key."
)
@talking
@with_api_key
def pub(
    room: str,
    data: str,
    idempotency_key: str | None,
    file: Path | None,
    url: str | None,
    insecure: bool,
    api_key: str | None,
) -> None:
    """Publish DATA into ROOM of a running server.

    DATA is JSON, or else text. With - each line of the input is a publication.
    """
    api = Api.of(file, url, api_key, insecure)
    lines: Iterable[str] = (line.rstrip("\r\n") for line in sys.stdin) if data == "-" else [data]
    for line in lines:
        arguments: dict[str, object] = {"channel": room, "data": data_of(line)}
        if idempotency_key is not None:
            arguments["idempotency_key"] = idempotency_key
        result = api.call("publish", arguments)
        offset = result.get("offset")
        click.echo(f"{room}: {f'offset {offset}' if offset else 'published'}")
