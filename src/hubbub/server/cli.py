"""The command ``hubbub``."""

import click

import hubbub
from hubbub.server.commands.bench import bench
from hubbub.server.commands.check import check
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


class Sections(click.Group):
    """Shows its commands under headings."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the part of the help that lists the commands."""
        longest = max(len(name) for name in self.commands)
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                rows = [(f"{one.name:{longest}}", one.get_short_help_str(limit=80)) for one in commands]
                formatter.write_dl(rows)


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`hubbub COMMAND --help` says more. Settings: hubbub.toml, HUBBUB_… in the environment, options.",
)
@click.version_option(hubbub.__version__, prog_name="hubbub")
def main() -> None:
    """Hubbub: the realtime hub for FastAPI."""


for _commands in SECTIONS.values():
    for _command in _commands:
        main.add_command(_command)
