"""``hubbub serve``: the ready server."""

from dataclasses import replace
from os import environ
from pathlib import Path
from typing import Any

import click

import hubbub
from hubbub.server.commands.headings import SettingsCommand
from hubbub.server.commands.launch import launch
from hubbub.server.commands.options import read_configuration, serving, told
from hubbub.server.configuration import Configuration
from hubbub.server.exposure import Exposure, Place, exposures
from hubbub.server.logs import log_config
from hubbub.server.own_secrets import THIS_RUN, secrets_file, with_own_secrets
from hubbub.server.printed_settings import printed
from hubbub.server.proxies import EVERYBODY, trusted_proxies
from hubbub.server.settings import SECRETS, Settings
from hubbub.uvicorn.runner import RunOptions

PAGES = (
    ("home", "", "/"),
    ("chat", "chat", "/chat"),
    ("admin", "admin", "/admin"),
    ("API docs", "docs", "/docs"),
    ("metrics", "metrics", "/metrics"),
    ("health", "", "/health"),
)
"""What can be opened, the setting that switches it, and the path."""


@click.command(cls=SettingsCommand, short_help="Start the ready server: chat, rooms, HTTP API.")
@serving
@click.option(
    "--print-config", is_flag=True, help="Print the effective configuration, without secrets, and end."
)
def serve(file: Path | None, print_config: bool, **options: object) -> None:
    """Start the server: chat, rooms for any client, HTTP API, health.

    Settings come from these options, the environment and hubbub.toml; the first of them counts.
    """
    # These take longer to import than the other commands to run.
    from hubbub.server.app import create_app
    from hubbub.server.metrics import shared_metrics

    configuration = read_configuration(file, options)
    if print_config:
        click.echo(printed(configuration))
        return
    with told():
        configuration = with_own_secrets(configuration)
        settings = configuration.settings
        if settings.broker is None:
            _make_folder(settings.data)
        app: Any = create_app(settings)
    run_options = _run_options(settings)
    if settings.workers > 1:
        settings.hand_on()
        app = "hubbub.server.app:worker_app"
        run_options = replace(run_options, uvicorn={**run_options.uvicorn, "factory": True})
    with shared_metrics(settings):
        launch(app, run_options, lambda *ports: _announce(configuration, *ports))


def _run_options(settings: Settings) -> RunOptions:
    files = {"ssl_keyfile": settings.ssl_keyfile, "ssl_certfile": settings.ssl_certfile}
    proxies = trusted_proxies(settings.trusted_proxies, environ)
    return RunOptions(
        host=settings.host,
        port=settings.port,
        more=() if settings.operator_port is None else ((settings.operator_host, settings.operator_port),),
        workers=settings.workers,
        drain=settings.drain,
        log_level=settings.log_level,
        uvicorn={
            "log_config": log_config(settings.log_format, settings.log_level, everything=True),
            "forwarded_allow_ips": EVERYBODY if EVERYBODY in proxies else proxies,
            **{name: str(path) for name, path in files.items() if path is not None},
        },
    )


def _announce(configuration: Configuration, port: int, operator_port: int | None = None) -> None:
    settings = configuration.settings
    addresses = {
        Place.PUBLIC: _address(settings, settings.host, port),
        Place.OPERATOR: _address(settings, settings.operator_host, operator_port),
    }
    click.echo(f"Hubbub {hubbub.__version__}")
    found = exposures(settings)
    for name, setting, path in PAGES:
        exposure = found.get(setting, Exposure(Place.PUBLIC))
        if exposure.place in addresses:
            click.echo(f"  {name:9} {addresses[exposure.place]}{path}")
        elif exposure.why:
            click.echo(f"  {name:9} off: {exposure.why}")
    sources = {configuration.sources[name] for name in SECRETS}
    kept = secrets_file(settings)
    if str(kept) in sources:
        click.echo(f"  secrets   {kept}")
    elif THIS_RUN in sources:
        click.echo(
            "  secrets   made for this run, kept nowhere; "
            "HUBBUB_SECRET, HUBBUB_API_KEY and HUBBUB_ADMIN_KEY give it yours"
        )


def _address(settings: Settings, host: str, port: int | None) -> str:
    scheme = "http" if settings.ssl_certfile is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"Cannot make the folder {path}: {error.strerror}") from error
