"""No credential reaches a server's log, whatever it logs: real servers at their most talkative."""

import json
from pathlib import Path

import pytest
from servers import serving
from websockets.asyncio.client import connect

SECRETS = {
    "query token": "Qt8-query-secret",
    "query ticket": "Tk9-ticket-secret",
    "cookie": "Ck7-cookie-secret",
    "authorization": "Au6-header-secret",
    "API key": "Ap5-apikey-secret",
    "subprotocol": "Sp4-subprotocol-secret",
    "first message": "Fm3-message-secret",
    "long first message": "Lm2-" + "long-message-secret" * 20,
}
TALKATIVE = {
    "uvicorn": "--log-level trace",
    "hubbub": "--log-level trace",
    "hypercorn": "--log-level debug --access-logfile -",
    "granian": "--log-level debug --access-log",
}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        *((kind, "") for kind in TALKATIVE),
        ("uvicorn", "--ws wsproto"),
    ],
)
async def test_no_credential_reaches_the_log(kind: str, more: str, tmp_path: Path) -> None:
    with serving("hub_app:app", tmp_path, kind, f"{TALKATIVE[kind]} {more}") as server:
        query = f"token={SECRETS['query token']}&ticket={SECRETS['query ticket']}&name=visible"
        headers = {
            "Cookie": f"theme=dark; session={SECRETS['cookie']}",
            "Authorization": f"Bearer {SECRETS['authorization']}",
            "X-API-Key": SECRETS["API key"],
        }
        async with connect(
            f"{server.ws}/room/log?{query}",
            additional_headers=headers,
            subprotocols=["bearer", SECRETS["subprotocol"]],  # type: ignore[list-item]
        ) as client:
            assert client.subprotocol == "bearer"
            for name in ("first message", "long first message"):
                message = json.dumps({"token": SECRETS[name]})
                await client.send(message)
                assert await client.recv() == message
            await client.send("a message that may be seen")
            await client.recv()
        server.get(f"/state?{query}")
    log = server.log
    shown = [name for name, secret in SECRETS.items() if secret[:12] in log or secret[4:] in log]
    assert not shown, log
    assert "/room/log" in log, "the log is there to be searched"
    if kind == "uvicorn" and not more:
        assert "a message that may be seen" in log
