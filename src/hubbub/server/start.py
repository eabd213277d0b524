"""Where the command ``hubbub`` begins: it says what to install where its packages are missing."""

import sys

from hubbub.server.extra import missing


def main() -> None:
    """Run the command line. Ends with 1 and a sentence where the extra ``server`` is not installed."""
    try:
        from hubbub.server.cli import main as command_line
    except ModuleNotFoundError as error:
        sys.exit(f"Error: {missing(error)}")
    command_line()
