"""An application around a hub: endpoints for clients of the Centrifuge protocol, handlers of their events."""

from hubbub.application.hub import Hub

__all__ = ["Hub"]
