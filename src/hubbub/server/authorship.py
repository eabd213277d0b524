"""Whose a message is, where nobody logs in: a secret of the browser's, of which others see only a hash.

A message's id begins with its author's, so that one look at it tells whose it is, and nothing has to be kept.
"""

import hashlib
from typing import Annotated, Final

from pydantic import StringConstraints

Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32,64}$")]
"""A client's secret: at least 128 random bits, as hexadecimal digits."""

Suffix = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{8,64}$")]
"""The client's own part of a message's id, another one for each message."""

MessageId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}\.[0-9A-Za-z_-]{8,64}$")]
"""The id of a message, as all see it."""

_LENGTH: Final = 32


def author_of(key: str) -> str:
    """What others know a secret by: 128 bits of its SHA-256, from which nobody finds the secret."""
    return hashlib.sha256(key.encode()).hexdigest()[:_LENGTH]


def message_id(author: str, suffix: str) -> str:
    """The id of an author's message."""
    return f"{author}.{suffix}"


def wrote(author: str, id: str) -> bool:
    """Whether a message is the author's; nothing is, without one."""
    return bool(author) and id.startswith(f"{author}.")
