"""The group of all commands: it shows them under headings, and imports only the one that is called."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

import click

from hubbub.server.extra import missing


class Sections(click.Group):
    """A group that shows its commands under headings.

    A command is imported when it is asked for: each imports what it needs, and together that takes longer
    than most of them run. The help and the completion of names ask for all.

    Args:
        sections: the names of the commands under each heading; ``pub`` is `hubbub.server.commands.pub.pub`.
        options: of `click.Group`.
    """

    def __init__(self, *, sections: Mapping[str, Sequence[str]], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._sections = sections
        self._names = [name for names in sections.values() for name in names]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported; None if there is none."""
        return self._load(cmd_name) if cmd_name in self._names else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the part of the help that lists the commands."""
        longest = max(map(len, self._names))
        for heading, names in self._sections.items():
            with formatter.section(heading):
                rows = [
                    (f"{name:{longest}}", self._load(name).get_short_help_str(limit=80)) for name in names
                ]
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises `click.UsageError`, with the name that was meant if one is like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            self._guess(error, args[0], ctx)

    def _guess(self, error: click.UsageError, name: str, ctx: click.Context) -> NoReturn:
        near = get_close_matches(name, self._names, n=1, cutoff=0.5)
        said = error.message.rstrip(".")
        hint = f" Did you mean {near[0]}?" if near and "Did you mean" not in said else ""
        raise click.UsageError(f"{said}.{hint}", ctx) from error

    def _load(self, name: str) -> click.Command:
        try:
            command: click.Command = getattr(import_module(f"hubbub.server.commands.{name}"), name)
        except ModuleNotFoundError as error:
            raise click.ClickException(missing(error)) from error
        return command
