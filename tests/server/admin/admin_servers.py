"""Servers with an admin page."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from admin_client import ADMIN_KEY
from server_process import HUBBUB, ServerProcess, running

ROOMS = """
[rooms."news:{topic}"]
history_size = 50
presence = true
allow_subscribe = "anyone"
allow_publish = "anyone"
"""


@contextmanager
def serving(folder: Path, drain: float = 0, **settings: str) -> Iterator[ServerProcess]:
    """``hubbub serve`` with the admin key."""
    config = folder / "hubbub.toml"
    config.write_text(ROOMS)
    variables = {
        "HUBBUB_ADMIN_KEY": ADMIN_KEY,
        "HUBBUB_ANONYMOUS": "true",
        "HUBBUB_DATA": str(folder / "data"),
        "HUBBUB_LOG_LEVEL": "trace",
        "HUBBUB_MESSAGE_RATE": "0",
    }
    command = [*HUBBUB, "serve", "--drain", str(drain), "--config", str(config)]
    log = folder / f"{secrets.token_hex(4)}.log"
    with running(
        command, log, variables | {f"HUBBUB_{name.upper()}": it for name, it in settings.items()}
    ) as one:
        one.secret(ADMIN_KEY)
        yield one
