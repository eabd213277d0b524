"""``hubbub run``: an app of one's own, run as it should be."""

import sys
from typing import get_args

import click

from hubbub.server.commands.launch import launch
from hubbub.server.logs import log_config
from hubbub.server.settings import MAX_DRAIN, LogFormat, LogLevel
from hubbub.uvicorn.runner import RunOptions


@click.command(short_help="Run an app of your own, like main:app.")
@click.argument("app")
@click.option("--host", default="127.0.0.1", show_default=True, envvar="HUBBUB_HOST", help="Address to bind.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    envvar="HUBBUB_PORT",
    type=click.IntRange(0, 65_535),
    help="Port to bind.",
)
@click.option(
    "--drain",
    default=10.0,
    show_default=True,
    envvar="HUBBUB_DRAIN",
    type=click.FloatRange(0, MAX_DRAIN),
    help="Seconds over which clients are told to reconnect after SIGTERM.",
)
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    envvar="HUBBUB_LOG_LEVEL",
    type=click.Choice(get_args(LogLevel)),
    help="How much is logged.",
)
@click.option(
    "--log-format",
    default="auto",
    show_default=True,
    envvar="HUBBUB_LOG_FORMAT",
    type=click.Choice(get_args(LogFormat)),
    help="How: auto is JSON unless the standard error is a terminal.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="How many processes.")
@click.option("--reload", is_flag=True, help="Start anew when a file changes; clients are closed at once.")
@click.option("--ssl-keyfile", type=click.Path(exists=True, dir_okay=False), help="For wss: the key, PEM.")
@click.option(
    "--ssl-certfile", type=click.Path(exists=True, dir_okay=False), help="For wss: the certificate, PEM."
)
def run(
    app: str,
    host: str,
    port: int,
    drain: float,
    log_level: str,
    log_format: LogFormat,
    workers: int,
    reload: bool,
    ssl_keyfile: str | None,
    ssl_certfile: str | None,
) -> None:
    """Run your own APP, like main:app, with the fast WebSocket protocol and a calm end."""
    if workers > 1 and reload:
        raise click.UsageError("--reload works with one worker only")
    # As `python` and `uvicorn` do: what lies in this folder can be imported.
    sys.path.insert(0, "")
    files = {"ssl_keyfile": ssl_keyfile, "ssl_certfile": ssl_certfile}
    launch(
        app,
        RunOptions(
            host=host,
            port=port,
            workers=workers,
            reload=reload,
            drain=drain,
            log_level=log_level,
            uvicorn={
                "log_config": log_config(log_format, log_level, everything=False),
                **{name: path for name, path in files.items() if path},
            },
        ),
    )
