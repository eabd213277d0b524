"""Hub: the hub with the endpoints and handlers of an application."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, Unpack

from starlette.routing import BaseRoute

from hubbub import hub
from hubbub.application.handlers import AppHandlers, Functions
from hubbub.application.needs import needing_fastapi
from hubbub.application.rooms import RoomHandlers
from hubbub.brokers import Broker
from hubbub.core.errors import ConfigurationError
from hubbub.core.heartbeat import Heartbeat
from hubbub.core.limits import Limits
from hubbub.core.options import RoomSettings
from hubbub.core.protection import Protection
from hubbub.gateway import Gateway, TokenVerifier

if TYPE_CHECKING:
    from fastapi import APIRouter

    from hubbub.application.router import Inclusion

H = TypeVar("H", bound=Callable[..., object])


class Hub(hub.Hub):
    """Knows the connections and rooms of a process, and talks to a broker.

    Args:
        broker: a URL like ``"memory://"``, or a `Broker`.
        limits: sizes and times.
        heartbeat: for connections that take part in it.
        origins: pages that may connect besides those of the same host and port: origins like
            ``"https://app.example.com"``, or ``"*"``.
        protection: rates and caps for clients, users and addresses; None for none.
        tokens: checks the connection tokens of clients of the Centrifuge protocol.
        subscription_tokens: checks their subscription tokens; `tokens` unless given.
        anonymous: let such clients in without a token.
        personal_room: a name like ``"user:{id}"``: each user's connections are in the user's own room.

    Raises:
        ConfigurationError: if an argument cannot work.
    """

    def __init__(
        self,
        broker: str | Broker = "memory://",
        *,
        limits: Limits | None = None,
        heartbeat: Heartbeat | None = None,
        origins: Iterable[str] = (),
        protection: Protection | None = None,
        tokens: TokenVerifier | None = None,
        subscription_tokens: TokenVerifier | None = None,
        anonymous: bool = False,
        personal_room: str | None = None,
    ) -> None:
        super().__init__(broker, limits=limits, heartbeat=heartbeat, origins=origins, protection=protection)
        self._inclusion: Inclusion | None = None  # None while nobody has asked for a router
        self._functions = Functions(self)
        self._handlers = AppHandlers(
            self,
            self._functions,
            tokens,
            subscription_tokens=subscription_tokens,
            anonymous=anonymous,
            personal_room=personal_room,
        )

    def room(self, pattern: str, **settings: Unpack[RoomSettings]) -> RoomHandlers:
        """Set the options of rooms, and give the place for their handlers.

        Takes the arguments of `set_options`, and raises what that does, and `ConfigurationError` for a
        pattern that was there before: the first one counts, and handlers of a second would never be called.
        """
        if pattern in self._functions.patterns:
            raise ConfigurationError(
                f"There is a room pattern {pattern!r} already, and only one can have handlers"
            )
        self.set_options(pattern, **settings)
        handlers = RoomHandlers(pattern, len(self._functions.patterns), self._functions.events)
        self._functions.rooms.add(pattern, handlers)
        self._functions.patterns.add(pattern)
        return handlers

    def rpc(self, method: str) -> Callable[[H], H]:
        """``@hub.rpc("add")``: a method that clients call; a function in FastAPI's style.

        The data is the body, what it returns is the answer. It refuses with an `HTTPException` or `Refused`.

        Raises:
            ConfigurationError: if there is a method of that name, or it is none.
        """
        if not method or method in self._functions.methods or set("{}/") & set(method):
            raise ConfigurationError(f"{method!r} cannot be the name of a method, or is one already")

        def register(handler: H) -> H:
            self._functions.events().add(f"/rpc/{method}", handler)
            self._functions.methods.add(method)
            return handler

        return register

    async def find_rooms(self, pattern: str = "") -> dict[str, int]:
        """The rooms that have members on any node, by name, with how many connections.

        It asks all nodes, and leaves out what has not answered within a second. It needs the endpoints: take
        `router` or `routes` into the app.

        Args:
            pattern: only names like it: ``*``, ``?``, ``[ab]``, ``[!ab]`` and ``{one,two}``; empty for all.

        Raises:
            InvalidMessage: for a pattern that is malformed or too long.
            LimitReached: if too many such questions are under way.
            BrokerError: if the nodes cannot be asked.
        """
        return await self.gateway.everywhere.surveys.rooms(pattern)

    @cached_property
    def gateway(self) -> Gateway:
        """The endpoints of the Centrifuge protocol."""
        return Gateway(self, handlers=self._handlers)

    @property
    def routes(self) -> list[BaseRoute]:
        """The endpoints, for ``Starlette(routes=[*hub.routes])``."""
        return self.gateway.routes

    @property
    def router(self) -> "APIRouter":
        """The endpoints, for ``app.include_router(hub.router)`` of FastAPI.

        An app that gives them dependencies does not start, as FastAPI does not apply these to them.

        Raises:
            ConfigurationError: without FastAPI.
        """
        with needing_fastapi("hub.router"):
            from hubbub.application.router import Inclusion

        if self._inclusion is None:
            self._inclusion = Inclusion(self.routes)
        return self._inclusion.router()

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """``FastAPI(lifespan=hub.lifespan)``. In a lifespan of your own, use ``async with hub:``.

        Raises:
            ConfigurationError: if the app includes `router` with dependencies.
        """
        if self._inclusion is not None:
            self._inclusion.check(app)
        async with super().lifespan(app):
            yield
