"""Python's garbage collector, set for a server: many objects that live long.

Every connection is some dozens of objects that stay. With Python's own settings the collector looks at the
youngest after each 700 of them, and now and then at all, which was a tenth and more of what it costs to open
a connection (`connect` in the bench).
"""

import gc
from typing import Final

THRESHOLDS: Final = (2_000, 10, 10)
"""Objects, and collections of the generations below, after which a generation is collected.

The process stands still meanwhile: the middle generation, of 20,000 objects, takes it some 6 ms. The last is
looked at as often as Python does, because that is where clients come that stay for a minute: some thirty
objects of each refer to each other, and go only with the collector.
"""


def settle() -> None:
    """Call it once the application has started: what is there now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
