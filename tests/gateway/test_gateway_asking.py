"""What a client may ask for with a subscription: to resume, and to notice a loss."""

from typing import Any

import pytest
from gateway_sdk import Server, room, token
from gateway_wire import ENDPOINT, wire


@pytest.mark.parametrize(
    ("kind", "recovers", "notices"),
    [("silent", False, False), ("asking", True, True), ("noticing", False, True), ("read", True, True)],
)
async def test_only_who_may_see_the_past_can_ask_to_resume(
    server: Server, kind: str, recovers: bool, notices: bool
) -> None:
    name = room(kind)
    async with wire(server.ws(ENDPOINT), server.secret(token("ada"))) as one, server.http() as http:
        await http.post(f"/publish/{name}", content='"past"')

        async def enter(**asked: Any) -> tuple[bool, bool, list[Any]]:
            began = await one.ask("subscribe", channel=name, **asked)
            await one.ask("unsubscribe", channel=name)
            publications = [each["data"] for each in began.get("publications", ())]
            return began.get("recoverable", False), began.get("positioned", False), publications

        assert await enter() == (False, False, [])
        assert await enter(recoverable=True) == (recovers, recovers, [])
        assert await enter(positioned=True) == (False, notices, [])
        assert await enter(recover=True) == (recovers, recovers, ["past"] if recovers else [])
