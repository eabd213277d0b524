"""How many connections a process has open files for."""

import sys
from typing import Final

RESERVED_FILES: Final = 200
"""Files that are no client's: the listener, the broker, logs, databases of the application."""


def room_for_connections() -> int | None:
    """The process's limit of open files (``ulimit -n``) less the reserved ones; None where there is none."""
    if sys.platform == "win32":  # which has no such limit
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else max(1, limit - RESERVED_FILES)
