"""How a method refuses."""

from typing import NoReturn

from hubbub.centrifuge.errors import ErrorCode
from hubbub.gateway.handlers import CommandFailed


def refuse(code: ErrorCode) -> NoReturn:
    """Answer with this error."""
    raise CommandFailed(code)


def need(*values: str) -> None:
    """Refuse (107) unless all of these are given."""
    if not all(values):
        refuse(ErrorCode.BAD_REQUEST)
