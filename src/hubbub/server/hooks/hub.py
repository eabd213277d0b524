"""The hub of a server with hooks."""

from hubbub import Hub
from hubbub.core.protection import Protection
from hubbub.gateway import TokenVerifier
from hubbub.server.hooks.backend import Backend
from hubbub.server.hooks.handlers import HookHandlers
from hubbub.server.hooks.headers import HookHeaders
from hubbub.server.settings import Settings


class HookHub(Hub):
    """A hub whose clients a backend is asked about.

    Args:
        settings: of the server: its broker, its origins, its hooks.
        tokens: checks connection tokens.
        protection: rates and caps.

    Raises:
        ConfigurationError: if a setting cannot work.
    """

    def __init__(
        self, settings: Settings, *, tokens: TokenVerifier | None, protection: Protection | None
    ) -> None:
        super().__init__(settings.effective_broker, origins=settings.origins, protection=protection)
        backend = Backend(
            settings.hooks, timeout=settings.hook_timeout, most=settings.hook_requests, stats=self.stats
        )
        self.companions.append(backend)
        self._handlers = HookHandlers(
            self,
            self._functions,
            backend,
            HookHeaders(settings.hook_static_headers, settings.hook_headers, settings.hook_client_headers),
            settings.rooms,
            binary=settings.hook_binary,
            tokens=tokens,
            anonymous=True,
            personal_room=settings.personal_room,
        )
