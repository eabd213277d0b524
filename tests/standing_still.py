"""A process in which nothing runs for a while, as if it had been stopped."""

import time


def stand_still(seconds: float) -> None:
    """Keep the event loop from running anything."""
    time.sleep(seconds)
