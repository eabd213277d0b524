"""``hubbub check``: what is wrong, or may go wrong, and what to mend."""

import sys
from collections.abc import Iterator
from os import environ
from pathlib import Path

import click

from hubbub.core.errors import ConfigurationError
from hubbub.server.checks import Finding, Level, check_configuration, check_open_files, check_packages
from hubbub.server.commands.headings import SettingsCommand
from hubbub.server.commands.options import serving
from hubbub.server.configuration import load
from hubbub.server.own_secrets import with_kept_secrets
from hubbub.server.settings import Settings
from hubbub.server.tables import ConfigurationProblems

COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.ERROR: "red"}


@click.command(cls=SettingsCommand, short_help="Look for mistakes, and say what to mend.")
@serving
def check(file: Path | None, **options: object) -> None:
    """Look for mistakes in the configuration and around it.

    Takes the options of `serve`, and starts nothing. Each finding is one line: ok, warn or error, and what
    to mend. Ends with 1 if there is an error.
    """
    levels = []
    for finding in _findings(file, options):
        levels.append(finding.level)
        level, rest = str(finding)[:5], str(finding)[5:]
        click.echo(click.style(level, fg=COLOURS[finding.level]) + rest)
    if Level.ERROR in levels:
        sys.exit(1)


def _findings(file: Path | None, options: dict[str, object]) -> Iterator[Finding]:
    try:
        configuration = load(file, environ, options)
        source = configuration.file or "no file; environment and options alone"
        yield Finding(Level.OK, "configuration", str(source))
        configuration = with_kept_secrets(configuration)
    except ConfigurationError as error:
        problems = error.problems if isinstance(error, ConfigurationProblems) else [str(error)]
        for problem in problems:
            yield Finding(Level.ERROR, "configuration", problem)
        yield from check_packages()
        yield from check_open_files(Settings())
    else:
        yield from check_configuration(configuration)
