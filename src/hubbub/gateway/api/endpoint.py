"""The API over HTTP: who may ask, what is too much, and the status of the answer."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hubbub.centrifuge.errors import ErrorCode
from hubbub.centrifuge.results import Result
from hubbub.core.errors import InvalidMessage, OriginRefused
from hubbub.core.stats import RefusalReason
from hubbub.gateway.api.description import describe
from hubbub.gateway.api.methods import MAX_COMMANDS, Methods, check_body
from hubbub.gateway.api.results import ApiError
from hubbub.gateway.http_requests import Refusal, read_body
from hubbub.hub import Hub
from hubbub.keys import Keys, shown_api_key

MAX_BODY: Final = 1_048_576
"""Bytes of a request's body."""

MAX_BATCH_BODY: Final = 4_194_304
"""Bytes of a batch, and of several requests to ``/api``."""

BODY_TIMEOUT: Final = 30.0
"""Seconds that a body may take."""

ERROR_MODE: Final = "X-Centrifugo-Error-Mode"
"""The header in which a backend asks for errors as HTTP statuses, with `transport`."""

_STATUSES: Final[dict[int, int]] = {
    ErrorCode.UNKNOWN_CHANNEL: 404,
    ErrorCode.METHOD_NOT_FOUND: 404,
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.NOT_AVAILABLE: 400,
    ErrorCode.UNRECOVERABLE_POSITION: 416,
}  # any other is 500

_logger = logging.getLogger("hubbub")


class _Command(msgspec.Struct, frozen=True):
    """A request as older libraries send it to ``/api``, one in each line."""

    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    id: int = 0


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Its answer, with the same number."""

    id: int = 0
    error: ApiError | None = None
    result: Result | None = None


_commands: Final = msgspec.json.Decoder(_Command)


class ApiRoute(Route):
    """The route of all methods, with what OpenAPI can say of them.

    Args:
        path: with the parameter ``method``.
        endpoint: answers.
        description: `paths` and `components` of an OpenAPI document.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        description: Mapping[str, Any],
    ) -> None:
        super().__init__(path, endpoint, methods=["POST"])
        self.description = description


class ApiEndpoint:
    """The routes of the API.

    A request without a good key gets 401, from a page of another site 403, of another type than JSON 415, too
    large 413, malformed 400. A method that fails is answered with 200 and an error, as Centrifugo does; where
    the header `ERROR_MODE` asks for it, with the error alone and its own status. A batch is always 200.

    Args:
        hub: has to run, else 503.
        methods: what can be asked for.
        keys: the good ones; without any, everything is 403.
        path: where the routes begin.
    """

    __slots__ = ("_hub", "_keys", "_methods", "routes")

    def __init__(self, hub: Hub, methods: Methods, keys: Keys, path: str = "/api") -> None:
        self._hub = hub
        self._methods = methods
        self._keys = keys
        self.routes: list[BaseRoute] = [
            ApiRoute(f"{path}/{{method}}", self._one, describe(methods.items(), path)),
            Route(path, self._several, methods=["POST"]),
        ]
        """For ``Starlette(routes=…)``."""

    async def _one(self, request: Request) -> Response:
        return await _guard(request, self._carry_out)

    async def _several(self, request: Request) -> Response:
        return await _guard(request, self._carry_out_lines)

    async def _carry_out(self, request: Request) -> Response:
        self._check(request)
        method = request.path_params["method"]
        if method == "batch":
            replies = await self._methods.batch(await _read(request, MAX_BATCH_BODY))
            return _json(msgspec.json.encode({"replies": replies}))
        if method not in self._methods:
            raise Refusal(404, "Unknown method")
        response = await self._methods.call(method, await _read(request, MAX_BODY))
        if response.error is not None and request.headers.get(ERROR_MODE) == "transport":
            return _json(msgspec.json.encode(response.error), _STATUSES.get(response.error.code, 500))
        return _json(msgspec.json.encode(response))

    async def _carry_out_lines(self, request: Request) -> Response:
        """The older form: the method's name is in the body. Several are separated by line ends."""
        self._check(request)
        commands = _commands.decode_lines(await _read(request, MAX_BATCH_BODY))
        if not 0 < len(commands) <= MAX_COMMANDS:
            raise Refusal(400, "No command, or too many")
        for command in commands:
            if command.method not in self._methods:
                raise Refusal(404, "Unknown method")
        return _json(b"\n".join([await self._answer(command) for command in commands]))

    async def _answer(self, command: _Command) -> bytes:
        response = await self._methods.call(command.method, bytes(command.params))
        return msgspec.json.encode(_Answer(command.id, response.error, response.result))

    def _check(self, request: Request) -> None:
        if not self._keys:
            raise Refusal(403, "No API key is set: this is switched off")
        if not self._keys.known(shown_api_key(request.headers)):
            self._hub.stats.refuse(RefusalReason.KEY)
            raise Refusal(401, "Wrong or missing API key", {"WWW-Authenticate": "apikey"})
        self._check_site(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "Content-Type has to be application/json")
        if not self._hub.running:
            raise Refusal(503, "The hub is not running", {"Retry-After": "1"})

    def _check_site(self, request: Request) -> None:
        """Refuse pages of other sites, as browsers tell them (Fetch Metadata), older ones by the origin."""
        site = request.headers.get("sec-fetch-site")
        try:
            if site is None:
                origin, host = request.headers.get("origin"), request.headers.get("host")
                self._hub.origins.check(origin, host, secure=request.scope.get("scheme") == "https")
            elif site == "cross-site":
                raise OriginRefused
        except OriginRefused as error:
            self._hub.stats.refuse(error)
            raise Refusal(403, "Not from another site") from None


async def _guard(request: Request, work: Callable[[Request], Awaitable[Response]]) -> Response:
    try:
        return await work(request)
    except (msgspec.DecodeError, InvalidMessage) as error:
        refusal = Refusal(400, str(error))
    except Refusal as error:
        refusal = error
    client = request.client.host if request.client is not None else "somebody"
    _logger.info("refused a request of %s to %r: %s", client, request.scope["path"][:256], refusal)
    return refusal.response()


async def _read(request: Request, most: int) -> bytes:
    body = await read_body(request, most, BODY_TIMEOUT)
    check_body(body)
    return body


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json", headers={"Cache-Control": "no-store"})
