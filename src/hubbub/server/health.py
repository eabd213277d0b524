"""What load balancers and orchestrators ask: does it live, does it want clients?"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from hubbub import Hub
from hubbub.uvicorn.endpoint import DRAIN


def health_router(hub: Hub) -> APIRouter:
    """``/health`` and ``/ready``."""
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @router.get("/ready")
    async def ready(request: Request) -> JSONResponse:
        """Whether the process wants new clients: 503 while it is draining or its broker is away."""
        drain = request.scope.get("state", {}).get(DRAIN)
        if drain is not None and drain.active:
            if drain.alone:  # whoever asks anew reaches another worker
                return JSONResponse({"status": "ok"}, headers={"Connection": "close"})
            return JSONResponse({"status": "draining"}, 503, {"Retry-After": "1"})
        if not hub.ready:
            return JSONResponse({"status": "broker away"}, 503, {"Retry-After": "1"})
        return JSONResponse({"status": "ok"})

    return router
