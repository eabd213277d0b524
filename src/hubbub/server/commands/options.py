"""What commands have in common: the options of the configuration, and errors told without a traceback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import environ
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

import click
from msgspec import Meta

from hubbub.core.errors import BrokerError, ConfigurationError
from hubbub.server.configuration import CONFIG, FILE, PREFIX, Configuration, load
from hubbub.server.own_secrets import with_kept_secrets
from hubbub.server.settings import HOOKS, SECRETS, Settings
from hubbub.server.tables import SETTINGS, ConfigurationProblems, Field, option_of

C = TypeVar("C", bound=Callable[..., Any])

_EXPOSED: Final = "Better in the file or the environment: others can see the command line."
_METAVARS: Final = {
    "host": "ADDRESS",
    "port": "N",
    "operator_host": "ADDRESS",
    "operator_port": "N",
    "workers": "N",
    "drain": "SECONDS",
    "broker": "URL",
    "origins": "ORIGIN",
    "trusted_proxies": "ADDRESS",
    "secret": "SECRET",
    "message_rate": "N",
    "message_burst": "N",
    "user_message_rate": "N",
    "user_message_burst": "N",
    "handshake_rate": "N",
    "handshake_burst": "N",
    "max_connections": "N",
    "max_connections_per_user": "N",
    "max_connections_per_address": "N",
    "max_unauthenticated": "N",
    "idle_timeout": "SECONDS",
    "api_key": "KEY",
    "admin_key": "KEY",
    "metrics_key": "KEY",
    "jwks": "URL",
    **dict.fromkeys(HOOKS, "URL"),
    "hook_headers": "NAME",
    "hook_client_headers": "NAME",
    "hook_static_headers": "NAME:VALUE",
    "hook_timeout": "SECONDS",
    "hook_requests": "N",
    "personal_room": "NAME",
}


class SettingOption(click.Option):
    """An option that is a setting, whose value may also come from the environment or the file."""


@contextmanager
def told() -> Iterator[None]:
    """Errors without a traceback: exit status 2 for how the command was called, 1 for anything else."""
    try:
        yield
    except ConfigurationProblems as error:
        kind = click.UsageError if error.usage else click.ClickException
        raise kind("\n".join(error.problems)) from error
    except (ConfigurationError, BrokerError) as error:
        raise click.ClickException(str(error)) from error


def read_configuration(file: Path | None, options: dict[str, object] | None = None) -> Configuration:
    """The configuration of a command, with the secrets that the server has made before."""
    with told():
        return with_kept_secrets(load(file, environ, options))


def configured(command: C) -> C:
    """``--config``."""
    return click.option(
        "--config",
        "file",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar=CONFIG,
        help=f"The configuration file.  [{CONFIG}; default: {FILE} in this folder, if there]",
    )(command)


def serving(command: C) -> C:
    """An option for each setting. One that was not given is None."""
    for name, field in reversed(SETTINGS.items()):
        if name != "rooms":
            command = _option(field)(command)
    return configured(command)


def described(field: Field) -> str:
    """What the setting is."""
    annotations = get_args(field.kind) if get_origin(field.kind) is Annotated else ()
    return next((one.description or "" for one in annotations if isinstance(one, Meta)), "")


def default_of(name: str) -> str:
    """A setting's default as text; empty for none."""
    default = getattr(Settings(), name)
    if isinstance(default, tuple):
        return " ".join(default)
    if isinstance(default, bool):
        return "on" if default else ""
    return "" if default is None else str(default)


def _option(field: Field) -> Callable[[C], C]:
    variable, shown = PREFIX + field.name.upper(), default_of(field.name)
    said = [described(field), *([_EXPOSED] if field.name in (*SECRETS, "hook_static_headers") else [])]
    text = f"{' '.join(said)}  [{variable}{f'; default: {shown}' if shown else ''}]"
    option = option_of(field.name)
    if field.is_switch:
        names = (f"{option}/--no-{option[2:]}", field.name)
        return click.option(*names, cls=SettingOption, default=None, help=text)
    return click.option(
        option,
        field.name,
        cls=SettingOption,
        type=_type_of(field),
        multiple=field.is_list,
        default=None,
        metavar=_METAVARS.get(field.name),
        help=text,
    )


def _type_of(field: Field) -> Any:
    if field.choices:
        return click.Choice(field.choices)
    if field.number is not None:
        number, bounds = field.number
        kind: Any = click.IntRange if number is int else click.FloatRange
        return kind(bounds.ge, bounds.le)
    if field.name == "data":
        return click.Path(file_okay=False)
    return click.Path(dir_okay=False) if field.name.startswith("ssl_") else click.STRING
