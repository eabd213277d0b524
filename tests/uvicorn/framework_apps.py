"""Apps for server processes."""

from typing import Any

from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo messages, and answer HTTP requests."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"alive"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


api = FastAPI()
left: list[int] = []


@api.get("/left")
def codes() -> list[int]:
    """The close codes that routes have seen."""
    return left


@api.websocket("/json/{name}")
async def greet(websocket: WebSocket, name: str, shout: bool = False) -> None:
    """Greet in JSON until the client leaves."""
    await websocket.accept(subprotocol="greet", headers=[(b"x-hello", name.encode())])
    try:
        async for data in websocket.iter_json():
            await websocket.send_json({"to": name.upper() if shout else name, **data})
        left.append(0)
    except WebSocketDisconnect as error:
        left.append(error.code)


@api.websocket("/catch")
async def catch(websocket: WebSocket) -> None:
    """Note how the client leaves."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_bytes(await websocket.receive_bytes())
    except WebSocketDisconnect as error:
        left.append(error.code)


@api.websocket("/policy")
async def policy(websocket: WebSocket) -> None:
    """Close by exception after accepting."""
    await websocket.accept()
    raise WebSocketException(code=1008, reason="not you")


def nobody() -> None:
    """Refuse everybody."""
    raise WebSocketException(code=1008)


@api.websocket("/refused")
async def refused(websocket: WebSocket, _: None = Depends(nobody)) -> None:
    """Never runs."""


@api.websocket("/denied")
async def denied(websocket: WebSocket) -> None:
    """Refuse with an HTTP response."""
    from starlette.responses import JSONResponse

    await websocket.send_denial_response(JSONResponse({"why": "full"}, 503))
