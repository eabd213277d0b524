"""A small backend that is asked: it notes the questions, and answers what a test has it answer."""

import asyncio
import json
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any, TypeAlias

import uvicorn
from polling import DEADLINE
from ports import free_port
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Question: TypeAlias = dict[str, Any]
Reply: TypeAlias = dict[str, Any] | Response
Answer: TypeAlias = Callable[[Question], Reply | Awaitable[Reply]]

EVENTS = ("connect", "refresh", "subscribe", "publish", "sub_refresh", "rpc")
NOBODY = {"error": {"code": 999, "message": "not expected to be asked"}}


class HookBackend:
    """Runs in a thread of its own, on a port that stays the same when it is started anew."""

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: dict[str, Answer] = {}
        self.asked: queue.Queue[tuple[str, Question, Headers]] = queue.Queue()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def address(self, event: str) -> str:
        """Where it is asked about an event; by a name, as cookies of plain addresses are kept by nobody."""
        return f"http://localhost:{self.port}/{event}"

    def says(self, event: str, answer: Reply | Answer) -> None:
        """From now on this is the answer."""
        self.answers[event] = (
            answer if callable(answer) and not isinstance(answer, Response) else always(answer)
        )

    def question(self, event: str) -> tuple[Question, Headers]:
        """The next question that came, which has to be about this."""
        about, question, headers = self.asked.get(timeout=DEADLINE)
        assert about == event, (about, question)
        return question, headers

    def start(self) -> None:
        """Listen."""
        app = Starlette(routes=[Route("/{event}", self._answer, methods=["POST"])])
        config = uvicorn.Config(app, port=self.port, log_level="warning", lifespan="off", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        ready = threading.Event()
        for _ in range(int(DEADLINE * 100)):
            if self._server.started or ready.wait(0.01):
                return
        raise AssertionError("the backend does not listen")

    def stop(self) -> None:
        """Close its connections, and listen no more."""
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    def reset(self) -> None:
        """Forget what was asked and what is answered."""
        self.answers = {event: always(NOBODY) for event in EVENTS}
        self.asked = queue.Queue()

    async def _answer(self, request: Request) -> Response:
        event, question = request.path_params["event"], json.loads(await request.body())
        self.asked.put((event, question, request.headers))
        answer = self.answers[event](question)
        answer = await answer if isawaitable(answer) else answer
        return answer if isinstance(answer, Response) else JSONResponse(answer)


def always(reply: Reply | Answer) -> Answer:
    """The same answer to everybody."""
    assert not callable(reply) or isinstance(reply, Response)
    return lambda _: reply


async def never(question: Question) -> Reply:
    """No answer for as long as anybody waits."""
    await asyncio.sleep(3_600)
    return {}


@contextmanager
def backend_running() -> Iterator[HookBackend]:
    """A backend, until the end of the block."""
    backend = HookBackend()
    backend.reset()
    backend.start()
    try:
        yield backend
    finally:
        backend.stop()
