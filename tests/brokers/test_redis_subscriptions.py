"""Subscriptions that the server refuses, and that nobody wants any more."""

import asyncio
import logging

import pytest
from polling import turns
from redis_servers import redis_server

from hubbub import BrokerError
from hubbub.brokers.redis import RedisBroker
from hubbub.core.messages import Publication
from hubbub.core.positions import Position


class Nobody:
    """Takes what comes."""

    def publication(self, publication: Publication) -> None: ...

    def interrupted(self, room: str, position: Position) -> None: ...


async def test_a_refusal_of_what_was_left_meanwhile_leaves_the_link_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with redis_server("valkey") as server:
        server.run("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "resetchannels")
        broker = RedisBroker.from_url(server.url().replace("//", "//deaf:secret@"))
        await broker.start(Nobody())
        try:
            for later in range(12):
                entering = asyncio.create_task(broker.subscribe("r"))
                await turns(later)
                broker.unsubscribe("r")
                with pytest.raises(BrokerError):
                    await entering
                with pytest.raises(BrokerError, match="No permissions"):
                    await broker.subscribe("other")
                assert broker.connected, later
        finally:
            await broker.stop()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR and record.exc_info] == []
