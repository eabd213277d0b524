"""The supervisor's view of one worker."""

from socket import socket
from typing import Any

import pytest

from hubbub.uvicorn.runner import RunConfig, Worker

FOR_EVER = 3_600.0


class AnsweringWorker(Worker):
    """Answers until it is told to end."""

    def target(self, sockets: list[socket] | None = None) -> None:
        while self.child_conn.recv() == b"ping":
            self.child_conn.send(True)


class DyingWorker(Worker):
    """Dies of the first ping."""

    def target(self, sockets: list[socket] | None = None) -> None:
        self.child_conn.recv()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Is never called."""


@pytest.mark.timeout(30)
def test_one_that_dies_without_an_answer_is_not_waited_for() -> None:
    worker = DyingWorker(RunConfig("test_workers:app", 0), [])
    worker.start()
    assert not worker.ping(FOR_EVER)
    worker.join()
    assert not worker.is_alive(FOR_EVER)


def test_one_that_answers_is_alive() -> None:
    worker = AnsweringWorker(RunConfig("test_workers:app", 0), [])
    worker.start()
    assert worker.is_alive(FOR_EVER)
    assert worker.ping(FOR_EVER)
    worker.parent_conn.send(b"end")
    worker.join()
