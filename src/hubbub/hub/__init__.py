"""The hub: the one stateful object of a process, and the parts it is made of."""

from hubbub.hub.hub import Hub

__all__ = ["Hub"]
