"""Where the request that an event becomes has the client whose event it is."""

from typing import Final

VISITOR: Final = "hubbub.visitor"
"""The key of its `Visitor`, in the scope."""
