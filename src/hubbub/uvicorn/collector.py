"""Python's garbage collector, set for a server: many objects that live long.

Every connection is some dozens of objects that stay until it ends. Then they are freed without the collector,
which has nothing to find but what the application leaves it. With the settings of Python 3.11 and 3.12 it
looks at the youngest after each 700 objects, and often at all: a third of what it costs to open a connection.
"""

import gc
import sys
from typing import Final

_INCREMENTAL: Final = (3, 14) <= sys.version_info < (3, 14, 5)
"""Python 3.14.0 to 3.14.4 look at a part of the old objects each time, and take two of the numbers."""

THRESHOLDS: Final = (1_000, 10, 20) if _INCREMENTAL else (10_000, -1, 20)
"""Objects, and collections of the generations below, after which a generation is collected.

Below 0 the middle generation is collected with the youngest each time, so that an object that stays is looked
at once in its youth, and not twice. The process stands still meanwhile: 10,000 objects take it some 3 ms, and
all of 1,500 connections 100 ms. So it looks at all after 210,000 objects more, where Python 3.11 and 3.12 do
after 85,000. Not more seldom: what an application leaves to the collector stays until then.
"""


def settle() -> None:
    """Call it once the application has started: what is there now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
