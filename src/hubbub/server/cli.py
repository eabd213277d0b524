"""The command ``hubbub``."""

import click

import hubbub
from hubbub.server.commands.sections import Sections

SECTIONS: dict[str, tuple[str, ...]] = {
    "Run a server": ("serve", "run"),
    "Set it up": ("check", "token"),
    "Talk to a running server": ("pub", "sub", "history", "presence", "bench"),
}
"""The commands, as the help has them. Each is in a module of its name in `hubbub.server.commands`."""


@click.group(
    cls=Sections,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with `hubbub serve`. `hubbub COMMAND --help` says more about a command.",
)
@click.version_option(hubbub.__version__, prog_name="hubbub")
def main() -> None:
    """The realtime hub for FastAPI: run a server, set it up, and talk to one that runs.

    Settings come from hubbub.toml, from HUBBUB_... in the environment, and from options, the later ones
    stronger.
    """
