"""The page of the API docs: Swagger UI, whose files come from this process and not from a CDN."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Route

from hubbub.server.pages import HEADERS, page

_TYPES: Final = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}

DOCS_HEADERS: Final = HEADERS | {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace(
        "img-src 'self'", "img-src 'self' data:"
    )
}
"""Those of the other pages, but for the pictures that Swagger UI has in its style sheet."""


def docs_routes() -> list[BaseRoute]:
    """``/docs``, and the files of Swagger UI that it loads."""
    return [
        Route("/docs", _docs, include_in_schema=False),
        *(Route(f"/docs/{name}", _file, include_in_schema=False) for name in _TYPES),
    ]


async def _docs(request: Request) -> FileResponse:
    return page("docs/docs.html", DOCS_HEADERS)


async def _file(request: Request) -> FileResponse:
    name = request.scope["path"].rpartition("/")[2]
    # Here, not when the server starts: `files` imports the package.
    folder = Path(str(files("fastapi_swagger"))) / "resources"
    return FileResponse(folder / name, media_type=_TYPES[name], headers=HEADERS)
