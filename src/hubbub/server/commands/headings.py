"""Help that is divided by headings: the commands of the program, and the options of a server's settings."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Final, NoReturn

import click

from hubbub.server.commands.options import SettingOption

SETTINGS: Final[Mapping[str, Sequence[str]]] = {
    "Where it listens": (
        *("host", "port", "operator_host", "operator_port"),
        *("ssl_certfile", "ssl_keyfile", "trusted_proxies"),
    ),
    "How it runs": ("workers", "drain", "log_level"),
    "What it keeps": ("broker", "data"),
    "Who gets in": (
        *("origins", "anonymous", "secret", "api_key", "admin_key", "metrics_key"),
        *("token_audience", "token_issuer", "jwks", "jwks_algorithms", "personal_room"),
    ),
    "What it offers": ("chat", "plain_rooms", "api", "docs", "metrics", "admin"),
    "What one client may take": (
        *("protection", "message_rate", "message_burst", "user_message_rate", "user_message_burst"),
        *("handshake_rate", "handshake_burst", "max_connections", "max_connections_per_user"),
        *("max_connections_per_address", "max_unauthenticated", "idle_timeout"),
    ),
}
"""The settings under each heading. One that is under none is among the others."""

OTHERS: Final = "More settings"
OPTIONS: Final = "Options"


class SettingsCommand(click.Command):
    """A command with the options of all settings, which it shows under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the part of the help that lists the options."""
        placed = {name: heading for heading, names in SETTINGS.items() for name in names}
        rows: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*SETTINGS, OTHERS, OPTIONS)}
        for option in self.get_params(ctx):
            row = option.get_help_record(ctx)
            is_setting = isinstance(option, SettingOption)
            heading = placed.get(option.name or "", OTHERS) if is_setting else OPTIONS
            if row is not None:
                rows[heading].append(row)
        for heading, ones in rows.items():
            if ones:
                with formatter.section(heading):
                    formatter.write_dl(ones)


class Sections(click.Group):
    """A group that shows its commands under headings.

    Args:
        sections: the commands under each heading.
        options: of `click.Group`.
    """

    def __init__(self, *, sections: Mapping[str, Sequence[click.Command]], **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._sections = sections
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the part of the help that lists the commands."""
        longest = max(map(len, self.commands))
        for heading, commands in self._sections.items():
            with formatter.section(heading):
                rows = [(f"{one.name:{longest}}", one.get_short_help_str(limit=80)) for one in commands]
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
        near = get_close_matches(name, list(self.commands), n=1, cutoff=0.5)
        said = error.message.rstrip(".")
        hint = f" Did you mean {near[0]}?" if near and "Did you mean" not in said else ""
        raise click.UsageError(f"{said}.{hint}", ctx) from error
