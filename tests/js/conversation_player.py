"""The protocol's conversations from the client's side: Hub says what is `in`, and hears what is `out`."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from hub_page import HubPage
from protocol_server import Message, ProtocolSocket
from scripted_server import ScriptedServer

FOLDER = Path(__file__).parents[1] / "centrifuge" / "conversations"
CLIENT = Path(__file__).with_name("conversation_client.js").read_text()

SAID = {
    "connect": {"token", "data", "name"},
    "subscribe": {
        *("channel", "token", "data", "recover", "epoch", "offset", "recoverable", "join_leave"),
        *("flag", "positioned"),
    },
    "unsubscribe": {"channel"},
    "publish": {"channel", "data"},
    "history": {"channel", "limit", "since", "reverse"},
    "presence": {"channel"},
    "presence_stats": {"channel"},
    "rpc": {"method", "data"},
    "send": {"data"},
}
"""What Hub can say, by method."""

IGNORED = {"flag", "positioned"}
"""What conversations have a client say and Hub never does; the server's answers are the same."""

OWN = {"connect": {"name", "subs"}}
"""What Hub says besides."""


def steps_of(conversation: Message) -> list[Message]:
    """The steps, those of preludes among them."""
    named = json.loads((FOLDER / "preludes.json").read_text())["preludes"]
    return [
        one for step in conversation["steps"] for one in (named[step["use"]] if "use" in step else [step])
    ]


def can_say(steps: list[Message]) -> bool:
    """Whether Hub can be brought to say just this: no malformed command, no pong unasked, nobody in twice."""
    speaker = _Speaker()
    for step in steps:
        if "raw" in step or not all(map(speaker.can_say, step.get("in", ()))):
            return False
        for reply in step.get("out", ()):
            speaker.hear(reply)
    return True


class _Speaker:
    """What a client can say at a point of a conversation."""

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.asked: dict[int, str] = {}  # the channel, by the command's number
        self.owes_pong = False
        self.answers_pings = False
        self.is_connected = False

    def hear(self, reply: Message) -> None:
        self.owes_pong = self.answers_pings and reply == {}
        push = reply.get("push", {})
        if "unsubscribe" in push:
            self.inside.discard(push["channel"])
        if "subscribe" in push:
            self.inside.add(push["channel"])
        if "connect" in reply:
            self.is_connected = True
            self.answers_pings = reply["connect"].get("pong", False)
            self.inside |= reply["connect"].get("subs", {}).keys()
        if "error" in reply:
            self.inside.discard(self.asked[reply["id"]])

    def can_say(self, command: Message) -> bool:
        methods = command.keys() - {"id"}
        if not methods:
            owed, self.owes_pong = self.owes_pong, False
            return not command and owed
        method = min(methods)
        request, number = command[method], command.get("id", 0)
        known = len(methods) == 1 and method in SAID and set(request) <= SAID[method]
        if not known or (method == "send") is not (number == 0) or number in self.asked:
            return False
        first = method == "connect" and not self.asked
        if not (first or (method != "connect" and self.is_connected)):
            return False
        if method in ("publish", "send") and "data" not in request:
            return False
        channel = request.get("channel", "")
        if "channel" in SAID[method] and not channel:
            return False
        if method in ("subscribe", "unsubscribe"):
            if (channel in self.inside) is (method == "subscribe"):
                return False
            self.inside ^= {channel}
        if "token" in request and channel in self.asked.values():
            return False  # it shows the token again that it has
        if number:
            self.asked[number] = channel if method == "subscribe" else ""
        return True


class Player:
    """Plays one conversation: the server's part on a scripted server, the client's with a page."""

    def __init__(self, hub: HubPage, server: ScriptedServer) -> None:
        self.hub = hub
        self.server = server
        self.numbers: dict[int, int] = {}
        self.asked: dict[int, tuple[str, Message]] = {}
        self.expected: Counter[tuple[str, str]] = Counter()
        self.socket: ProtocolSocket | None = None

    async def play(self, steps: list[Message]) -> None:
        for step in steps:
            if "in" in step:
                await self._said(step["in"])
            if "out" in step:
                await self._answered(step["out"])
            if "close" in step:
                await self._closed(step["close"])
        await self.hub.js("forget()")
        if self.socket:
            await self.socket.close(3000)

    async def _said(self, commands: list[Message]) -> None:
        await self.hub.js("([commands]) => { for (const command of commands) say(command); }", commands)
        if self.socket is None:
            self.socket = await ProtocolSocket.accepted(self.server)
        for command in commands:
            found = await self.socket.command()
            self.numbers[command.get("id", 0)] = found.get("id", 0)
            (method,) = (
                (name for name in command if name != "id") if len(command) > ("id" in command) else ("",)
            )
            if not method:
                assert found == {}
                continue
            if method == "unsubscribe":  # an answer that is still to come is not heard
                self.asked = {
                    id: one
                    for id, one in self.asked.items()
                    if one[1].get("channel") != command[method]["channel"]
                }
            self.asked[command.get("id", 0)] = (method, command[method])
            assert _wanted(method, command[method]) == _spoken(method, found), (command, found)

    async def _answered(self, replies: list[Message]) -> None:
        assert self.socket
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
        elif method != "unsubscribe":
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
        if self.socket is None or await self.hub.events("hub", "error"):
            return  # it has said nothing; it was refused, and has gone by itself
        await self.socket.close(close["code"], close["reason"])
        terminal = 3500 <= close["code"] <= 3999 or 4500 <= close["code"] <= 4999
        if terminal:
            await self._event("hub", "disconnected", **close)
        else:
            await self._event("hub", "connecting", attempt=1)


def _wanted(method: str, request: Message) -> Message:
    wanted = {name: value for name, value in request.items() if name not in IGNORED}
    if method == "history":
        wanted.setdefault("limit", 0)
    if wanted.get("recover"):
        wanted = {"epoch": "", "offset": 0, **wanted}
    return wanted


def _spoken(method: str, found: Message) -> Message:
    return {name: value for name, value in found[method].items() if name not in OWN.get(method, ())}
