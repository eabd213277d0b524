"""The hub that a server's settings describe."""

from msgspec.structs import replace

from hubbub import Allow, Hub, Protection, Rate
from hubbub.gateway import TokenVerifier
from hubbub.server.settings import RoomTable, Settings


def make_hub(settings: Settings) -> Hub:
    """The hub: its broker, its origins, who gets in, and the rooms of the file, in their order.

    Who chats shows no token, so everybody may connect. Unless `anonymous` is set, who shows none may do
    nothing in the rooms of the file: there, "anyone" stands for users.

    Raises:
        ConfigurationError: if a setting cannot work.
    """
    hub = _asking_hub(settings) if settings.hooks else _plain_hub(settings)
    for pattern, table in settings.rooms.items():
        hub.room(pattern, **(table if settings.anonymous else _for_users(table)).arguments())
    return hub


def _plain_hub(settings: Settings) -> Hub:
    return Hub(
        settings.effective_broker,
        origins=settings.origins,
        tokens=token_verifier(settings),
        anonymous=True,
        personal_room=settings.personal_room,
        protection=protection(settings),
    )


def _asking_hub(settings: Settings) -> Hub:
    from hubbub.server.hooks.hub import HookHub  # with an HTTP client that nobody else has to wait for

    return HookHub(settings, tokens=token_verifier(settings), protection=protection(settings))


def protection(settings: Settings) -> Protection | None:
    """The rates and caps of a server; None for a server without any."""
    if not settings.protection:
        return None
    return Protection(
        messages=_rate(settings.message_rate, settings.message_burst),
        user_messages=_rate(settings.user_message_rate, settings.user_message_burst),
        handshakes=_rate(settings.handshake_rate, settings.handshake_burst),
        connections=settings.max_connections or None,
        connections_per_user=settings.max_connections_per_user or None,
        connections_per_address=settings.max_connections_per_address or None,
        unauthenticated=settings.max_unauthenticated,
        idle_timeout=settings.idle_timeout or None,
    )


def _rate(per_second: float, burst: int) -> Rate | None:
    return Rate(per_second, burst) if per_second else None


def _for_users(table: RoomTable) -> RoomTable:
    """The same options without anybody who shows no token."""
    names = ("allow_subscribe", "allow_publish", "allow_history", "allow_presence")
    return replace(table, **{name: Allow.USER for name in names if getattr(table, name) is Allow.ANYONE})


def token_verifier(settings: Settings) -> TokenVerifier | None:
    """What checks tokens: the secrets or the key sets; None where there are neither.

    Raises:
        ConfigurationError: if they cannot work.
    """
    audience, issuer = settings.token_audience, settings.token_issuer
    if settings.jwks:
        algorithms = settings.jwks_algorithms
        return TokenVerifier(jwks=settings.jwks, algorithms=algorithms, audience=audience, issuer=issuer)
    return TokenVerifier(settings.secret, audience=audience, issuer=issuer) if settings.secret else None
