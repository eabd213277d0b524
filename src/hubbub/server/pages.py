"""The pages: plain files, with headers that let a browser run nothing else."""

import re
from collections.abc import Mapping, Set
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_ASSETS: Final = _TYPES.keys() - {".html"}
_PAGES: Final = Path(str(files("hubbub.server"))) / "pages"
_CLIENT: Final = Path(str(files("hubbub"))) / "js"

router = APIRouter(include_in_schema=False)


def page(name: str, headers: Mapping[str, str] = HEADERS) -> FileResponse:
    """A page's file, named from the folder of all pages."""
    return _file(_PAGES / name, headers)


def _file(path: Path, headers: Mapping[str, str] = HEADERS) -> FileResponse:
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=headers)


def home_router(shown: Set[str]) -> APIRouter:
    """The home page, with what it says about the parts of the server that are shown here."""
    text = home_text((_PAGES / "home" / "home.html").read_text(encoding="utf-8"), shown)
    home_routes = APIRouter(include_in_schema=False)

    @home_routes.api_route("/", methods=["GET", "HEAD"])
    async def home() -> HTMLResponse:
        """The home page."""
        return HTMLResponse(text, headers=HEADERS)

    return home_routes


def home_text(page: str, shown: Set[str]) -> str:
    """The page without what is between ``<!-- part -->`` and ``<!-- /part -->`` of other parts."""
    return re.sub(
        r"[ \t]*<!-- (\w+) -->(.*?)<!-- /\1 -->\n?",
        lambda found: found[0] if found[1] in shown else "",
        page,
        flags=re.DOTALL,
    )


chat_router = APIRouter(include_in_schema=False)


@chat_router.api_route("/chat", methods=["GET", "HEAD"])
async def chat() -> FileResponse:
    """The chat page."""
    return page("chat/chat.html")


@router.api_route("/favicon.ico", methods=["GET", "HEAD"])
async def icon() -> FileResponse:
    """What browsers ask for where a page names no icon, or where there is no page."""
    return page("icon.svg")


@router.api_route("/hubbub.js", methods=["GET", "HEAD"])
async def client() -> Response:
    """The browser client: its modules are under ``/js``, where the names that they import are."""
    return Response('export * from "./js/hubbub.js";\n', media_type=_TYPES[".js"], headers=HEADERS)


@router.api_route("/js/{name}", methods=["GET", "HEAD"])
async def module(name: str) -> FileResponse:
    """A module of the browser client."""
    return _found(_CLIENT, name, {".js"})


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
async def shared(name: str) -> FileResponse:
    """A file that all pages share."""
    return _found(_PAGES, name, _ASSETS)


@router.api_route("/static/{page}/{name}", methods=["GET", "HEAD"])
async def own(page: str, name: str) -> FileResponse:
    """A style sheet or script of one page."""
    return _found(_PAGES, f"{page}/{name}", _ASSETS)


def _found(folder: Path, name: str, suffixes: Set[str]) -> FileResponse:
    """The name is looked up, never joined to a path."""
    for path in folder.rglob("*"):
        if path.suffix in suffixes and path.relative_to(folder).as_posix() == name:
            return _file(path)
    raise HTTPException(404)
