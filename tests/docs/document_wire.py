"""Plays the ``wire`` blocks: conversations with an app, as the documentation prints them.

    ada connects /ws                         opens a WebSocket
    ada connects /ws offering a, b           with subprotocols
    ada connects /ws with Cookie: a=b        with a header
    ada -> hello                             sends a text message; `[3 bytes]` sends a binary one
    ada <- Echo: hello                       the next message is this; `…` stands for anything
    ada is closed 1008                       the server closes, maybe with a reason
    ada is refused 403                       in place of the handshake
    ada leaves                               closes with 1000
    ada vanishes                             cuts the connection, with no close frame
    POST /alert with X-API-Key: k = 200 {}   an HTTP request and its answer; a GET is repeated until it fits
    page opens /                             a browser opens a page of the app
    page logs hello                          the page, or the JavaScript block before, writes to its console
    server stops / server starts             SIGTERM; the same port again

Whoever is still connected at the end of a block leaves. `$NAME` is replaced by what is known under that name,
or learns what stands there in an answer.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx
from document_apps import DEADLINE, RunningApp
from document_pages import BrowserPage
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

BYTES = re.compile(r"\[(\d+) bytes\]")
CONNECT = re.compile(
    r"(?P<path>/\S*)(?: offering (?P<offered>.+?))?(?: with (?P<name>[\w-]+): (?P<value>.+))?"
)
REQUEST = re.compile(
    r"(?P<path>/\S*)(?: with (?P<name>[\w-]+): (?P<value>.+?))? = (?P<status>\d+)(?: (?P<body>.+))?"
)
CLOSED = re.compile(r"(?P<code>\d+)(?: (?P<reason>.+))?")
LINE = re.compile(
    r"(?P<who>\w+) (?P<what>->|<-|connects|is closed|is refused|leaves|vanishes|opens|logs|stops|starts)"
    r"(?: (?P<rest>.*))?"
)
HTTP_LINE = re.compile(r"(?P<who>GET|POST) (?P<rest>/.*)")


class Conversation:
    """All who speak with one app, over the blocks of a page."""

    def __init__(
        self, app: RunningApp, known: dict[str, str], page: Callable[[], Awaitable[BrowserPage]]
    ) -> None:
        self._app = app
        self._known = known
        self._page = page
        self._clients: dict[str, ClientConnection] = {}
        self._refused: dict[str, int] = {}

    async def play(self, text: str) -> None:
        """Play the lines; an `AssertionError` names the one that went otherwise."""
        for line in text.splitlines():
            try:
                async with asyncio.timeout(DEADLINE):
                    await self._play_line(line)
            except (AssertionError, TimeoutError, ConnectionClosed) as error:
                raise AssertionError(f"{line!r}: {type(error).__name__}: {error}\n{self._app.log}") from error
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        assert not self._refused, f"refused, and it is not said: {self._refused}"

    async def _play_line(self, line: str) -> None:
        if found := HTTP_LINE.fullmatch(line):
            await self._request(found["who"], found["rest"])
            return
        found = LINE.fullmatch(line)
        assert found, "no line of a conversation"
        who, what, rest = found["who"], found["what"], found["rest"] or ""
        if who == "server":
            await (self._app.stop() if what == "stops" else self._app.start())
        elif who == "page":
            page = await self._page()
            await (page.open(rest) if what == "opens" else page.logged(lambda said: self._fits(rest, said)))
        else:
            await self._client_line(who, what, rest)

    async def _client_line(self, who: str, what: str, rest: str) -> None:
        if what == "connects":
            await self._connect(who, rest)
            return
        if what == "is refused":
            assert self._refused.pop(who) == int(rest)
            return
        client = self._clients[who]
        if what == "->":
            size = BYTES.fullmatch(rest)
            await client.send(bytes(int(size[1])) if size else self._filled(rest))
        elif what == "<-":
            said = await client.recv()
            shown = said if isinstance(said, str) else f"[{len(said)} bytes]"
            assert self._fits(rest, shown), f"came {shown!r}"
        elif what == "is closed":
            await self._expect_close(client, rest)
        elif what == "leaves":
            await client.close()
        else:
            client.transport.abort()
            await client.wait_closed()

    async def _connect(self, who: str, rest: str) -> None:
        found = CONNECT.fullmatch(self._filled(rest))
        assert found, "where to?"
        try:
            self._clients[who] = await connect(
                f"ws://127.0.0.1:{self._app.port}{found['path']}",
                subprotocols=re.split(", ?", found["offered"]) if found["offered"] else None,  # type: ignore[arg-type]
                additional_headers={found["name"]: found["value"]} if found["name"] else None,
                compression=None,
                proxy=None,
            )
        except InvalidStatus as error:
            self._refused[who] = error.response.status_code
        if found["offered"] and who in self._clients:
            assert self._clients[who].subprotocol in re.split(", ?", found["offered"])

    async def _expect_close(self, client: ClientConnection, rest: str) -> None:
        expected = CLOSED.fullmatch(rest)
        assert expected, "which code?"
        try:
            said = await client.recv()
        except ConnectionClosed as error:
            frame = error.rcvd
            came = f"{frame.code} {frame.reason}" if frame else "1006"
            assert frame, "closed without a close frame"
            assert frame.code == int(expected["code"]), f"closed {came}"
            assert self._fits(expected["reason"] or "…", frame.reason), f"closed {came}"
        else:
            raise AssertionError(f"not closed; came {said!r}")

    async def _request(self, method: str, rest: str) -> None:
        found = REQUEST.fullmatch(self._filled(rest, lenient=True))
        assert found, "no request"
        headers = {found["name"]: found["value"]} if found["name"] else {}
        status, body = int(found["status"]), found["body"] or "…"
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                answer = await client.request(method, self._app.url + found["path"], headers=headers)
                if answer.status_code == status and self._fits(body, answer.text):
                    return
                assert method == "GET", f"answered {answer.status_code} {answer.text}"
                await asyncio.sleep(0.02)

    def _filled(self, text: str, *, lenient: bool = False) -> str:
        """The text with what is known put in."""

        def value(found: re.Match[str]) -> str:
            if lenient and found[1] not in self._known:
                return found[0]
            return self._known[found[1]]

        return re.sub(r"\$([A-Z_]+)", value, text)

    def _fits(self, expected: str, said: str) -> bool:
        """Whether it is what was expected; learns the names that are not known yet."""
        pattern = re.escape(self._filled(expected, lenient=True)).replace("…", ".*")
        pattern = re.sub(r"\\\$([A-Z_]+)", r"(?P<\1>[^\"]+)", pattern)
        found = re.fullmatch(pattern, said, re.DOTALL)
        if found:
            self._known |= found.groupdict()
        return found is not None
