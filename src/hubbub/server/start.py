"""Where the command ``hubbub`` begins: it says what to install where its packages are missing."""

import sys


def main() -> None:
    """Run the command line. Ends with 1 and a sentence where the extra ``server`` is not installed."""
    try:
        from hubbub.server.cli import main as command_line
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "hubbub":
            raise
        sys.exit(f'Error: the command needs more than the library: pip install "hubbub[server]" ({error})')
    command_line()
