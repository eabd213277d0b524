"""The command ``hubbub``."""

import click
import uvicorn

import hubbub
from hubbub.core.errors import ConfigurationError
from hubbub.core.limits import Limits
from hubbub.server.app import create_app
from hubbub.server.settings import Settings

PAGES = (("home", "/"), ("chat", "/chat"), ("API docs", "/docs"), ("health", "/health"))


@click.group(context_settings={"auto_envvar_prefix": "HUBBUB", "help_option_names": ["-h", "--help"]})
@click.version_option(hubbub.__version__, prog_name="hubbub")
def main() -> None:
    """Hubbub: the realtime hub for FastAPI."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, envvar="HUBBUB_HOST", help="Address to bind.")
@click.option("--port", default=8000, show_default=True, envvar="HUBBUB_PORT", type=click.IntRange(0, 65535))
@click.option(
    "--broker", default="memory://", show_default=True, envvar="HUBBUB_BROKER", help="The broker's URL."
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    envvar="HUBBUB_ORIGINS",
    help="A page's origin that may connect besides this server's own, like https://app.example.com.",
)
def serve(host: str, port: int, broker: str, origins: tuple[str, ...]) -> None:
    """Start the server: chat, plain WebSocket rooms, health."""
    try:
        app = create_app(Settings(broker=broker, origins=origins))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"Hubbub {hubbub.__version__}")
    for name, path in PAGES:
        click.echo(f"  {name:9} http://{shown}:{port}{path}")
    uvicorn.run(
        app,
        host=host,
        port=port,
        ws_max_size=Limits().message_bytes,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=30,
        log_level="info",
    )
