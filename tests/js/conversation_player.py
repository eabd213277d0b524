"""The protocol's conversations from the client's side: Hub says what is `in`, and hears what is `out`."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from hub_page import HubPage
from protocol_server import Message, ProtocolSocket
from scripted_server import ScriptedServer
from streaming_server import StreamingServer

FOLDER = Path(__file__).parents[1] / "centrifuge" / "conversations"
CLIENT = Path(__file__).with_name("conversation_client.js").read_text()

OWN = {"connect": {"name", "subs"}}
"""What Hub says besides."""


def steps_of(conversation: Message) -> list[Message]:
    """The steps, those of preludes among them."""
    named = json.loads((FOLDER / "preludes.json").read_text())["preludes"]
    return [
        one for step in conversation["steps"] for one in (named[step["use"]] if "use" in step else [step])
    ]


class Player:
    """Plays one conversation: the server's part on a scripted server, the client's with a page."""

    def __init__(self, hub: HubPage, server: ScriptedServer | StreamingServer) -> None:
        self.hub = hub
        self.server = server
        self.attempts = 3 if isinstance(server, StreamingServer) else 1
        """How many it takes to be connected: Hub tries a WebSocket twice."""
        self.now = 0.0
        self.is_refused = False
        self.has_answered = False
        self.numbers: dict[int, int] = {}
        self.asked: dict[int, tuple[str, Message]] = {}
        self.expected: Counter[tuple[str, str]] = Counter()
        self.socket: ProtocolSocket | None = None

    async def play(self, steps: list[Message]) -> None:
        await self.hub.js("([tokens]) => Object.assign(window.tokens, tokens)", tokens_of(steps, "refresh"))
        for number, step in enumerate(steps):
            if "time" in step:
                await self._passed(step["time"], steps[number + 1 : number + 2])
            if "in" in step:
                await self._said(step["in"])
            if "out" in step:
                await self._answered(step["out"])
            if "close" in step:
                await self._closed(step["close"])
        await self.hub.js("forget()")
        if self.socket:
            await self.socket.close(3000)
            assert await self.socket.rest() == [], "it said more"

    async def _passed(self, now: float, then: list[Message]) -> None:
        """The client's clock goes on; what it says then needs the token that the next step shows."""
        shown = tokens_of(then, "subscribe") | tokens_of(then, "sub_refresh")
        await self.hub.js("([tokens]) => Object.assign(window.tokens, tokens)", shown)
        await self.hub.page.clock.run_for((now - self.now) * 1000)
        self.now = now

    async def _said(self, commands: list[Message]) -> None:
        shown = tokens_of([{"in": commands}], "subscribe")
        await self.hub.js("([tokens]) => Object.assign(window.tokens, tokens)", shown)
        await self.hub.js("([commands]) => { for (const command of commands) say(command); }", commands)
        if self.socket is None:
            for failed in range(1, self.attempts):
                await self._event("hub", "connecting", attempt=failed)
                await self.hub.js("hub.retryNow()")
            self.socket = await ProtocolSocket.accepted(self.server)
        frame = await self.socket.frame()
        assert len(frame) == len(commands), f"one frame: {frame}"
        for command, found in zip(commands, frame, strict=True):
            self.numbers[command.get("id", 0)] = found.get("id", 0)
            method = next((name for name in command if name != "id"), "")
            if not method:
                assert found == {}
                continue
            if method == "unsubscribe":  # an answer that is still to come is not heard
                left = command[method]["channel"]
                self.asked = {id: one for id, one in self.asked.items() if one[1].get("channel") != left}
            self.asked[command.get("id", 0)] = (method, command[method])
            assert _wanted(method, command[method]) == _spoken(method, found), (command, found)

    async def _answered(self, replies: list[Message]) -> None:
        assert self.socket
        self.has_answered = True
        await self.socket.send(
            *[{**one, "id": self.numbers[one["id"]]} if "id" in one else one for one in replies]
        )
        for reply in replies:
            if "push" in reply:
                await self._pushed(reply["push"])
            elif "id" in reply:
                await self._heard(reply)

    async def _event(self, where: str, kind: str, **fields: Any) -> None:
        self.expected[where, kind] += 1
        event = await self.hub.event(where, kind, self.expected[where, kind])
        assert {name: event.get(name) for name in fields} == fields, (event, fields)

    async def _heard(self, reply: Message) -> None:
        method, request = self.asked.get(reply["id"], ("unsubscribe", {}))
        error = reply.get("error")
        if method == "connect":
            if error:
                self.is_refused = True
                await self._event("hub", "error")
            else:
                await self._event("hub", "connected", client=reply["connect"]["client"])
                for channel, result in reply["connect"].get("subs", {}).items():
                    await self._subscribed(channel, result)
        elif method == "subscribe":
            if not error:
                await self._subscribed(request["channel"], reply["subscribe"])
            elif error.get("temporary") or (error["code"] == 109 and "token" in request):
                await self._event(request["channel"], "error")
            else:
                await self._event(
                    request["channel"], "unsubscribed", code=error["code"], reason=error["message"]
                )
        elif method == "refresh":
            if error:
                await self._event("hub", "error")
        elif method not in ("unsubscribe", "sub_refresh"):
            outcome = await self.hub.js("([id]) => outcomes[id]", reply["id"])
            assert outcome.get("failed", {}).get("code") == (error["code"] if error else None), (
                reply,
                outcome,
            )
            if method == "rpc" and not error:
                assert outcome["value"] == reply["rpc"].get("data")

    async def _subscribed(self, channel: str, result: Message) -> None:
        position = (
            {"epoch": result["epoch"], "offset": result.get("offset", 0)}
            if result.get("recoverable")
            else None
        )
        flags = {
            "recovered": result.get("recovered", False),
            "wasRecovering": result.get("was_recovering", False),
        }
        await self._event(channel, "subscribed", **flags, position=position)
        for publication in result.get("publications", ()):
            await self._event(channel, "publication", **publication)

    async def _pushed(self, push: Message) -> None:
        channel = push.get("channel", "")
        if "pub" in push:
            await self._event(channel, "publication", **push["pub"])
        elif "message" in push:
            await self._event("hub", "message", **push["message"])
        elif "subscribe" in push:
            await self._subscribed(channel, push["subscribe"])
        for kind in {"join", "leave"} & push.keys():
            await self._event(channel, kind, **push[kind]["info"])
        if "unsubscribe" in push and push["unsubscribe"]["code"] < 2500:
            await self._event(channel, "unsubscribed", **push["unsubscribe"])

    async def _closed(self, close: Message) -> None:
        if self.socket is None or self.is_refused:
            return  # it has said nothing; it was refused, and has gone by itself
        await self.socket.close(close["code"], close["reason"])
        terminal = 3500 <= close["code"] <= 3999 or 4500 <= close["code"] <= 4999
        if terminal:
            await self._event("hub", "disconnected", **close)
        else:
            await self._event("hub", "connecting", attempt=1 if self.has_answered else self.attempts)


def tokens_of(steps: list[Message], method: str) -> dict[str, str]:
    """The tokens that commands of that method show, by channel; the connection's own by the empty name."""
    commands = [command[method] for step in steps for command in step.get("in", ()) if method in command]
    return {one.get("channel", ""): one["token"] for one in commands if "token" in one}


def _wanted(method: str, request: Message) -> Message:
    wanted = {"channel": "", **request} if method == "publish" else dict(request)
    if method == "history":
        wanted.setdefault("limit", 0)
    if wanted.get("recover"):
        wanted = {"epoch": "", "offset": 0, **wanted}
    return wanted


def _spoken(method: str, found: Message) -> Message:
    return {name: value for name, value in found[method].items() if name not in OWN.get(method, ())}
