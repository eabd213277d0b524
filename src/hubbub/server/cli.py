"""The command ``hubbub``."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from uvicorn.importer import ImportFromStringError

import hubbub
from hubbub.core.errors import ConfigurationError
from hubbub.server.app import create_app
from hubbub.server.settings import Settings, default_broker
from hubbub.uvicorn.runner import RunOptions
from hubbub.uvicorn.runner import run as run_app

PAGES = (("home", "/"), ("chat", "/chat"), ("API docs", "/docs"), ("health", "/health"))
WORKERS = "How many processes."
MAX_DRAIN = 25.0
"""Longest drain, in seconds: the process ends within 30."""


def listening(command: Callable[..., None]) -> Callable[..., None]:
    """The options of commands that listen."""
    options = (
        click.option(
            "--host", default="127.0.0.1", show_default=True, envvar="HUBBUB_HOST", help="Address to bind."
        ),
        click.option(
            "--port",
            default=8000,
            show_default=True,
            envvar="HUBBUB_PORT",
            type=click.IntRange(0, 65_535),
            help="Port to bind.",
        ),
        click.option(
            "--drain",
            default=10.0,
            show_default=True,
            envvar="HUBBUB_DRAIN",
            type=click.FloatRange(0, MAX_DRAIN),
            help="Seconds over which clients are told to reconnect after SIGTERM.",
        ),
        click.option(
            "--log-level",
            default="info",
            show_default=True,
            envvar="HUBBUB_LOG_LEVEL",
            type=click.Choice(["critical", "error", "warning", "info", "debug", "trace"]),
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(hubbub.__version__, prog_name="hubbub")
def main() -> None:
    """Hubbub: the realtime hub for FastAPI."""


@main.command()
@listening
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1), envvar="HUBBUB_WORKERS", help=WORKERS
)
@click.option(
    "--broker",
    envvar="HUBBUB_BROKER",
    help="The broker's URL.  [default: a SQLite file; with several workers a Valkey that they start]",
)
@click.option(
    "--data",
    default="hubbub-data",
    show_default=True,
    envvar="HUBBUB_DATA",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for what is kept without a --broker. It is made.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    envvar="HUBBUB_ORIGINS",
    help="A page's origin that may connect besides this server's own, like https://app.example.com.",
)
def serve(
    host: str,
    port: int,
    drain: float,
    log_level: str,
    workers: int,
    broker: str | None,
    data: Path,
    origins: tuple[str, ...],
) -> None:
    """Start the server: chat, plain WebSocket rooms, health."""
    if broker is None:
        _make_folder(data)
        broker = default_broker(data, workers)
    settings = Settings(broker, origins)
    try:
        app: Any = create_app(settings)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    options = RunOptions(host=host, port=port, workers=workers, drain=drain, log_level=log_level)
    if workers > 1:
        settings.hand_on()
        app = "hubbub.server.app:worker_app"
        options = replace(options, uvicorn={"factory": True})
    shown = f"[{host}]" if ":" in host else host

    def announce(bound: int) -> None:
        click.echo(f"Hubbub {hubbub.__version__}")
        for name, path in PAGES:
            click.echo(f"  {name:9} http://{shown}:{bound}{path}")

    _run(app, options, announce)


@main.command()
@listening
@click.argument("app")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help=WORKERS)
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
    _run(
        app,
        RunOptions(
            host=host,
            port=port,
            workers=workers,
            reload=reload,
            drain=drain,
            log_level=log_level,
            uvicorn={name: path for name, path in files.items() if path},
        ),
    )


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"Cannot make the folder {path}: {error.strerror}") from error


def _run(app: Any, options: RunOptions, announce: Callable[[int], None] = lambda port: None) -> None:
    try:
        status = run_app(app, options, announce)
    except (ImportFromStringError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from error
    if status:
        sys.exit(status)
