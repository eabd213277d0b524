"""The command ``hubbub``."""

import click

import hubbub
from hubbub.server.commands.bench import bench
from hubbub.server.commands.check import check
from hubbub.server.commands.headings import Sections
from hubbub.server.commands.history import history
from hubbub.server.commands.presence import presence
from hubbub.server.commands.pub import pub
from hubbub.server.commands.run import run
from hubbub.server.commands.serve import serve
from hubbub.server.commands.sub import sub
from hubbub.server.commands.token import token

SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Run a server": (serve, run),
    "Set it up": (check, token),
    "Talk to a running server": (pub, sub, history, presence, bench),
}
"""The commands, as the help has them."""


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
