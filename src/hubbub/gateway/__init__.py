"""The gateway: clients of the Centrifuge protocol as members of a hub's rooms, beside plain ones."""

from hubbub.gateway.gateway import Gateway
from hubbub.gateway.handlers import CommandFailed, Credentials, Grant, Handlers, Identity, Visitor
from hubbub.gateway.standard import StandardHandlers
from hubbub.gateway.tokens import TokenExpired, TokenVerifier

__all__ = [
    "CommandFailed",
    "Credentials",
    "Gateway",
    "Grant",
    "Handlers",
    "Identity",
    "StandardHandlers",
    "TokenExpired",
    "TokenVerifier",
    "Visitor",
]
