"""The admin page's requests over HTTP: judged, carried out, and answered with JSON or a refusal."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubbub.core.errors import BadMessage, BrokerError, ConfigurationError, HubNotRunning, Refused
from hubbub.gateway.http_requests import Refusal, read_body
from hubbub.server.admin.access import AdminAccess

MAX_BODY: Final = 131_072
"""Bytes of a command's body: a publication, and what is around it."""

BODY_TIMEOUT: Final = 10.0
"""Seconds that it may take."""

Work: TypeAlias = Callable[[Request, bytes], Awaitable[object]]
"""What a path does: takes the request and its body, returns what is answered as JSON."""

_logger = logging.getLogger("hubbub")


class Requests:
    """Makes routes of work.

    A failure has a status and one line of text: 401, 403 and 415 as `AdminAccess` says, 400 for what cannot
    be, 404 for what is not there, 413 for too much, 503 while the hub or its broker is away.

    Args:
        access: judges each request.
    """

    __slots__ = ("_access",)

    def __init__(self, access: AdminAccess) -> None:
        self._access = access

    def get(self, path: str, work: Work) -> Route:
        """A route to look at something."""
        return self._route(path, "GET", work)

    def post(self, path: str, work: Work) -> Route:
        """A route that does something."""
        return self._route(path, "POST", work)

    def _route(self, path: str, method: str, work: Work) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                self._access.check(request)
                body = await read_body(request, MAX_BODY, BODY_TIMEOUT) if method == "POST" else b""
                answer = msgspec.json.encode(await work(request, body))
            except (Refusal, Refused, BadMessage, ConfigurationError, BrokerError, HubNotRunning) as error:
                return _refused(request, error)
            except msgspec.DecodeError as error:
                return _refused(request, Refusal(400, str(error)))
            return Response(answer, media_type="application/json", headers={"Cache-Control": "no-store"})

        return Route(path, endpoint, methods=[method], include_in_schema=False)


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        refusal = error
    elif isinstance(error, BrokerError | HubNotRunning):
        refusal = Refusal(503, str(error), {"Retry-After": "1"})
    else:
        refusal = Refusal(400, str(error))
    client = request.client.host if request.client is not None else "somebody"
    _logger.info("admin: refused a request of %s to %r: %s", client, request.scope["path"][:256], refusal)
    return refusal.response({"Cache-Control": "no-store"})
