"""``hubbub history``: what a room of a running server remembers."""

from pathlib import Path

import click

from hubbub.server.commands.talking import Api, line_of, talking, with_api_key


@click.command(short_help="Show what a room remembers.")
@click.argument("room")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), metavar="N", help="The newest so many."
)
@talking
@with_api_key
def history(
    room: str, limit: int, file: Path | None, url: str | None, insecure: bool, api_key: str | None
) -> None:
    """Show the newest publications of ROOM, the oldest of them first: offset and data."""
    api = Api.of(file, url, api_key, insecure)
    result = api.call("history", {"channel": room, "limit": limit, "reverse": True})
    for one in reversed(result.get("publications") or []):
        click.echo(f"{one.get('offset', 0)}\t{line_of(one.get('data'))}")
