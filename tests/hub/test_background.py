"""Tasks that nobody waits for do not fail unseen, and end with their owner."""

import asyncio

import pytest
from polling import turns

from hubbub.hub.background import Background


async def test_a_failure_is_logged_with_its_owner(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("broken")

    background = Background("the choir")
    background.run(fail())
    await turns()
    (record,) = caplog.records
    assert "the choir" in record.message
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_what_is_not_done_ends_with_the_owner(caplog: pytest.LogCaptureFixture) -> None:
    ended = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    background = Background("the choir")
    background.run(wait())
    background.run(wait())
    await turns()
    await background.stop()
    assert ended == [True, True]
    assert caplog.records == []
    await background.stop()
