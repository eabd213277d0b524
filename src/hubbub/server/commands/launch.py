"""Running an app until a signal comes, and ending with the exit status that says how it went."""

import sys
from collections.abc import Callable
from typing import Any

import click
from uvicorn.importer import ImportFromStringError

from hubbub.core.errors import ConfigurationError
from hubbub.uvicorn.runner import RunOptions
from hubbub.uvicorn.runner import run as run_app


def launch(app: Any, options: RunOptions, announce: Callable[..., None] = lambda *ports: None) -> None:
    """Serve the app; `announce` is called with the ports once they are bound."""
    try:
        status = run_app(app, options, announce)
    except (ImportFromStringError, ConfigurationError) as error:
        raise click.ClickException(str(error)) from error
    if status:
        sys.exit(status)
