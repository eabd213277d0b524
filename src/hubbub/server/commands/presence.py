"""``hubbub presence``: who is in a room of a running server."""

from pathlib import Path

import click

from hubbub.server.commands.talking import Api, talking, with_api_key


@click.command(short_help="Show who is in a room.")
@click.argument("room")
@talking
@with_api_key
def presence(room: str, file: Path | None, url: str | None, insecure: bool, api_key: str | None) -> None:
    """Show who is in ROOM: user and connection."""
    result = Api.of(file, url, api_key, insecure).call("presence", {"channel": room})
    clients = (result.get("presence") or {}).values()
    for user, client in sorted((one.get("user") or "-", one.get("client", "")) for one in clients):
        click.echo(f"{user}\t{client}")
