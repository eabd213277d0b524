"""The server's HTTP API, compatible with Centrifugo's: for backends, with a key."""

from hubbub.gateway.api.endpoint import ApiEndpoint, ApiRoute
from hubbub.gateway.api.methods import Methods

__all__ = ["ApiEndpoint", "ApiRoute", "Methods"]
