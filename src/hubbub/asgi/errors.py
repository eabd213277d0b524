"""Our errors in the shape that Starlette and FastAPI handle, so that code written for them works on."""

from starlette.exceptions import WebSocketException
from starlette.websockets import WebSocketDisconnect

from hubbub.core.errors import CloseCode, Disconnected, HubbubError


class SocketDisconnected(Disconnected, WebSocketDisconnect):
    """`Disconnected`, also caught by the tutorials' ``except WebSocketDisconnect``."""

    def __init__(self, code: int = CloseCode.ABNORMAL, reason: str = "") -> None:
        Disconnected.__init__(self, code, reason)


class SocketRefused(HubbubError, WebSocketException):
    """Ends a route; Starlette's own handler closes the socket with the code, without a traceback.

    Before the handshake is accepted, that is an HTTP 403.
    """

    def __init__(self, cause: HubbubError) -> None:
        HubbubError.__init__(self, str(cause))
        self.code = cause.code
        self.reason = str(cause)
