"""``hubbub history``: what a room of a running server remembers, and is to forget."""

from pathlib import Path

import click

from hubbub.server.commands.talking import Api, line_of, talking, with_api_key


@click.command(short_help="Show what a room remembers, or erase some of it.")
@click.argument("room")
@click.option(
    "--erase",
    "erased",
    multiple=True,
    type=click.IntRange(1),
    metavar="OFFSET",
    help="Take this publication out, for good, and show nothing.  [can be repeated]",
)
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), metavar="N", help="The newest so many."
)
@talking
@with_api_key
def history(
    room: str,
    erased: tuple[int, ...],
    limit: int,
    file: Path | None,
    url: str | None,
    insecure: bool,
    api_key: str | None,
) -> None:
    """Show the newest publications of ROOM, the oldest of them first: offset and data."""
    api = Api.of(file, url, api_key, insecure)
    if erased:
        _erase(api, room, erased)
        return
    result = api.call("history", {"channel": room, "limit": limit, "reverse": True})
    for one in reversed(result.get("publications") or []):
        click.echo(f"{one.get('offset', 0)}\t{line_of(one.get('data'))}")


def _erase(api: Api, room: str, offsets: tuple[int, ...]) -> None:
    """Take publications out. Raises `click.ClickException` if one of them was not there."""
    missing = []
    for offset in offsets:
        result = api.call("history_erase", {"channel": room, "offset": offset})
        if result.get("erased"):
            click.echo(f"{room}: offset {offset} erased")
        else:
            missing.append(str(offset))
    if missing:
        raise click.ClickException(f"{room} has nothing at offset {', '.join(missing)}")
