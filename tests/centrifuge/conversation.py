"""Replays conversations: files that say, without any language of programming, what is said and what follows.

A file has `about` and `conversations`, each with a `title`, perhaps `terms`, and `steps` in order. What a
client cannot be made to say has `not_for`: the client's name, and why. The steps:

- ``{"in": [command, ...]}``: the client sends a frame; ``{"raw": text}``: a frame of just that text.
- ``{"time": seconds}``: that much has passed since the beginning.
- ``{"server": {"unsubscribe": {...}}}``: the server does something by itself.
- ``{"out": [reply, ...]}``: what is written next, neither more nor less.
- ``{"call": {"subscribe": {...}}}``: what the hub is asked next; only the fields that are given count. With
  ``"answer": {"subscribed": {...}}`` beside it, it is answered at once; alone, ``answer`` answers the oldest
  open call, or with ``"to"`` the oldest to that channel.
- ``{"live": {...}}``: the channel goes live. ``{"close": {...}}``: the connection ends.
- ``{"use": name}``: the steps of that name in ``preludes.json``.

Before anything new happens, all that followed must have been named. A client can replay `in`, `out`, `time`
and `close` from its side.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hubbub.centrifuge import actions
from hubbub.centrifuge.errors import DisconnectCode, ErrorCode, UnsubscribeCode
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.results import ClientInfo
from hubbub.centrifuge.session import Session
from hubbub.centrifuge.terms import Terms
from hubbub.core.errors import InvalidMessage
from hubbub.core.heartbeat import Heartbeat
from hubbub.core.limits import Limits
from hubbub.core.messages import Json, Publication
from hubbub.core.positions import Position

FOLDER = Path(__file__).parent / "conversations"

CALLS: dict[type[actions.Call], str] = {
    actions.Authenticate: "authenticate",
    actions.Subscribe: "subscribe",
    actions.Unsubscribe: "unsubscribe",
    actions.Publish: "publish",
    actions.Presence: "presence",
    actions.PresenceStats: "presence_stats",
    actions.History: "history",
    actions.Rpc: "rpc",
    actions.Message: "message",
    actions.Refresh: "refresh",
    actions.SubRefresh: "sub_refresh",
}
ANSWERS: dict[str, type[actions.Answer]] = {
    "done": actions.Done,
    "accepted": actions.Accepted,
    "subscribed": actions.Subscribed,
    "present": actions.Present,
    "counted": actions.Counted,
    "page": actions.Page,
    "returned": actions.Returned,
    "refreshed": actions.Refreshed,
}


def conversations() -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and content of every conversation in the folder."""
    for path in sorted(FOLDER.glob("*.json")):
        for one in json.loads(path.read_text()).get("conversations", ()):
            yield f"{path.stem}: {one['title']}", one


def preludes() -> dict[str, list[dict[str, Any]]]:
    """Steps that many conversations begin with."""
    named: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "preludes.json").read_text())["preludes"]
    return named


class Replay:
    """One conversation with a session that speaks JSON."""

    def __init__(self, conversation: dict[str, Any]) -> None:
        wanted = conversation.get("terms", {})
        limits = Limits(**wanted.pop("limits", {}))
        heartbeat = Heartbeat() if wanted.pop("heartbeat", False) else None
        terms = Terms(limits=limits, heartbeat=heartbeat, **wanted)
        self.now = 0.0
        self.session = Session("client-1", JSON_CODEC, terms, self.now)
        self.followed: list[actions.Action] = []  # not named by a step yet
        self.open: list[tuple[int, str]] = []  # number and channel of calls that were not answered yet
        self.steps = self._steps(conversation["steps"])

    def run(self) -> None:
        """Take every step; raises AssertionError with the step that does not hold."""
        for step in self.steps:
            for name in step:
                if name not in {"to", "answer"} or "call" not in step:
                    self._take(name, step)
            if "call" in step and "answer" in step:
                self._answer(self.open.pop()[0], step["answer"])
        assert not self.followed, f"followed at the end: {self.followed}"

    def _steps(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        named = preludes()
        return [one for step in steps for one in (named[step["use"]] if "use" in step else [step])]

    def _take(self, name: str, step: dict[str, Any]) -> None:
        value = step[name]
        match name:
            case "in":
                self._follow(self._receive("\n".join(map(json.dumps, value))))
            case "raw":
                self._follow(self._receive(value))
            case "time":
                self._pass(value)
            case "server":
                self._serve(value)
            case "answer":
                index = next(
                    i for i, (_, channel) in enumerate(self.open) if step.get("to", channel) == channel
                )
                self._answer(self.open.pop(index)[0], value)
            case "out":
                for reply in value:
                    assert self._next(actions.Send, step) == reply, step
            case "live":
                assert self._next(actions.GoLive, step) == value, step
            case "close":
                assert self._next(actions.Close, step) == value, step
            case "call":
                self._called(value, step)

    def _follow(self, followed: list[actions.Action]) -> None:
        assert not self.followed, f"followed, but no step names it: {self.followed}"
        self.followed = followed

    def _receive(self, frame: str) -> list[actions.Action]:
        try:
            commands = JSON_CODEC.decode_commands(frame)
        except InvalidMessage:
            return self.session.bad_request()
        return self.session.receive(commands, self.now)

    def _pass(self, now: float) -> None:
        """Advance as a driver does: whenever something is due."""
        followed = []
        while (due := self.session.due) is not None and due <= now:
            self.now = max(due, self.now)
            followed += self.session.advance(self.now)
            assert self.session.due is None or self.session.due > self.now, "due again at once"
        self.now = now
        self._follow(followed)

    def _answer(self, call: int, answer: dict[str, Any]) -> None:
        self._follow(self.session.answer(call, answer_of(answer), self.now))

    def _serve(self, deed: dict[str, Any]) -> None:
        ((name, values),) = deed.items()
        session, values = self.session, dict(values)
        match name:
            case "disconnect":
                followed = session.disconnect(DisconnectCode(values["code"]).disconnect)
            case "send":
                followed = session.send(Json(json.dumps(values["data"])))
            case "joined" | "left":
                info = msgspec.convert(values["info"], ClientInfo)
                followed = getattr(session, name)(values["channel"], info)
            case "unsubscribe":
                code = UnsubscribeCode(values.get("code", 2000))
                followed = session.unsubscribe(values["channel"], self.now, code)
            case "lost":
                followed = session.lost()
            case "subscribe" if "position" in values:
                values["position"] = msgspec.convert(values["position"], Position)
                followed = session.subscribe(now=self.now, **values)
            case _:
                followed = getattr(session, name)(now=self.now, **values)
        self._follow(followed)

    def _next(self, kind: type[actions.Action], step: dict[str, Any]) -> Any:
        assert self.followed, f"nothing followed, but expected {step}"
        action = self.followed.pop(0)
        assert isinstance(action, kind), f"{action} followed, but expected {step}"
        if isinstance(action, actions.Send):
            return json.loads(JSON_CODEC.encode_reply(action.reply))
        if isinstance(action, actions.Close):
            return {"code": action.disconnect.code, "reason": action.disconnect.reason}
        return said(action)

    def _called(self, expected: dict[str, Any], step: dict[str, Any]) -> None:
        ((name, values),) = expected.items()
        assert self.followed, f"nothing followed, but expected {step}"
        action = self.followed.pop(0)
        assert isinstance(action, actions.Call), f"{action} followed, but expected {step}"
        assert CALLS[type(action)] == name, f"{action} followed, but expected {step}"
        found = said(action)
        assert {key: found.get(key) for key in values} == values, f"{found}, but expected {step}"
        if action.call:
            self.open.append((action.call, getattr(action, "channel", "")))


def said(action: actions.Action) -> dict[str, Any]:
    """The fields of an action that say something, but for the number of a call."""
    fields = msgspec.structs.asdict(action)
    found = {
        name: str(value) if isinstance(value, str) else msgspec.to_builtins(value)  # of `Json`, it takes none
        for name, value in fields.items()
        if name != "call"
    }
    return {
        name: json.loads(value) if name == "data" and value else value
        for name, value in found.items()
        if not (value is None or value is False or value == {} or (name, value) == ("delta", "none"))
    }


def answer_of(answer: dict[str, Any]) -> actions.Answer:
    """An answer as the hub gives it; `data` is JSON, publications have `offset` and `data`."""
    ((name, given),) = answer.items()
    values = dict(given)
    if name == "failed":
        if "disconnect" in values:
            return actions.Failed(DisconnectCode(values["disconnect"]).disconnect)
        return actions.Failed(ErrorCode(values["code"]).error)
    if "data" in values:
        values["data"] = Json(json.dumps(values["data"]))
    if "position" in values:
        values["position"] = position = msgspec.convert(values["position"], Position)
    if "publications" in values:
        values["publications"] = [
            Publication(
                "r",
                Json(json.dumps(one["data"])),
                0.0,
                Position(position.epoch, one["offset"]),
                one.get("by"),
            )
            for one in values["publications"]
        ]
    if "clients" in values and name == "present":
        values["clients"] = msgspec.convert(values["clients"], dict[str, ClientInfo])
    return ANSWERS[name](**values)
