"""Help that shows the options of a server's settings under headings."""

from collections.abc import Mapping, Sequence
from typing import Final

import click

from hubbub.server.commands.options import SettingOption

SETTINGS: Final[Mapping[str, Sequence[str]]] = {
    "Where it listens": (
        *("host", "port", "operator_host", "operator_port"),
        *("ssl_certfile", "ssl_keyfile", "trusted_proxies"),
    ),
    "How it runs": ("workers", "drain", "log_level", "log_format"),
    "What it keeps": ("broker", "data"),
    "Who gets in": (
        *("origins", "anonymous", "secret", "api_key", "admin_key", "metrics_key"),
        *("token_audience", "token_issuer", "jwks", "jwks_algorithms", "personal_room"),
    ),
    "What your backend is asked": (
        *("connect_hook", "refresh_hook", "subscribe_hook", "publish_hook", "sub_refresh_hook", "rpc_hook"),
        *("hook_headers", "hook_client_headers", "hook_static_headers", "hook_timeout"),
        *("hook_requests", "hook_binary"),
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
