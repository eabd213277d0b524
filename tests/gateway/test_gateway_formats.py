"""Publications for clients of the protocol, encoded once for all of a kind, deltas among them."""

import asyncio
import gc
import json
from typing import Any

import pytest
from centrifuge.fossil import apply_delta

from hubbub.centrifuge.actions import DeltaState
from hubbub.centrifuge.json_codec import JSON_CODEC
from hubbub.centrifuge.protobuf_codec import PROTOBUF_CODEC
from hubbub.core.formats import Format
from hubbub.core.messages import Json, Payload, Publication
from hubbub.core.positions import Position
from hubbub.gateway.formats import DeltaFormat, Formats, to_frame

ROOM = "chat:1"


class Registry:
    """What a hub does with formats: the members of one room, by name."""

    def __init__(self) -> None:
        self.formats = Formats(JSON_CODEC, self._reformat)
        self.members: dict[str, Format] = {}
        self.got: dict[str, list[dict[str, Any]]] = {}
        self._offset = 0

    def enter(self, name: str, delta: DeltaState = DeltaState.EMPTY) -> Format:
        position = Position("e", self._offset) if self._offset else None
        self.members[name] = self.formats.of(ROOM, delta, position)
        self.got[name] = []
        return self.members[name]

    def publish(self, *texts: str) -> None:
        """One turn: each format is asked once for each publication."""
        publications = []
        for text in texts:
            self._offset += 1
            publications.append(Publication(ROOM, Json(json.dumps(text)), 0.0, Position("e", self._offset)))
        presented: dict[Format, list[Payload]] = {}
        for name, format in self.members.items():
            if format not in presented:
                presented[format] = [format.present(one) for one in publications]
            self.got[name] += [json.loads(one)["push"]["pub"] for one in presented[format]]

    def _reformat(self, room: str, format: Format, to: Format) -> None:
        assert room == ROOM
        for name, has in self.members.items():
            if has is format:
                self.members[name] = to


def texts(publications: list[dict[str, Any]], base: bytes = b"") -> list[str]:
    """What a client reads."""
    read = []
    for one in publications:
        data = one["data"].encode()
        base = apply_delta(base, data) if one.get("delta") else data
        read.append(json.loads(base))
    return read


LONG = "what does not change " * 10


async def test_the_first_publication_is_whole_and_then_all_members_share_one_format() -> None:
    registry = Registry()
    early = registry.enter("early")
    registry.publish(LONG + "1", LONG + "2")
    late = registry.enter("late")
    assert late is not early
    registry.publish(LONG + "3")
    registry.enter("latest")
    await asyncio.sleep(0)
    registry.publish(LONG + "4")
    await asyncio.sleep(0)
    registry.publish(LONG + "5")
    assert len(set(registry.members.values())) == 1
    for name, first in (("early", 1), ("late", 3), ("latest", 4)):
        got = registry.got[name]
        assert texts(got) == [f"{LONG}{number}" for number in range(first, 6)]
        assert [one.get("delta", False) for one in got] == [False] + [True] * (len(got) - 1)


async def test_members_that_come_at_the_same_time_share_the_bytes() -> None:
    registry = Registry()
    assert registry.enter("one") is registry.enter("two")


async def test_who_has_the_newest_publication_needs_no_whole_one() -> None:
    registry = Registry()
    registry.enter("early")
    registry.publish(LONG + "1")
    await asyncio.sleep(0)
    back = registry.enter("back", DeltaState.READY)
    assert back is registry.members["early"]
    registry.publish(LONG + "2")
    base = json.dumps(LONG + "1").encode()
    assert texts(registry.got["back"], base) == [LONG + "2"]
    assert registry.got["back"][0]["delta"]


async def test_who_is_alone_or_behind_gets_a_whole_one() -> None:
    registry = Registry()
    registry.enter("back", DeltaState.READY)
    registry.publish(LONG + "1")
    assert not registry.got["back"][0].get("delta", False)
    await asyncio.sleep(0)
    behind = registry.formats.of(ROOM, DeltaState.READY, Position("another", 1))
    assert behind is not registry.members["back"]


async def test_a_room_left_by_all_is_forgotten() -> None:
    registry = Registry()
    registry.enter("one")
    registry.publish(LONG)
    await asyncio.sleep(0)
    registry.members.clear()
    gc.collect()
    assert not [one for one in gc.get_objects() if isinstance(one, DeltaFormat) and one.previous]


@pytest.mark.parametrize("codec", [JSON_CODEC, PROTOBUF_CODEC], ids=["json", "protobuf"])
def test_without_deltas_all_rooms_share_one_format(codec: Any) -> None:
    formats = Formats(codec, lambda room, format, to: None)
    whole = formats.of(ROOM, DeltaState.NONE, None)
    assert whole is formats.of("chat:2", DeltaState.NONE, Position("e", 1))
    publication = Publication(ROOM, Json("[1]"), 0.0)
    assert whole.present(publication) == to_frame(codec, codec.encode_publication(ROOM, publication))
    assert isinstance(whole.present(publication), bytes if codec.binary else str)
    assert whole.joined(ROOM, None, None) is None
    assert whole.gap(ROOM, Position("e", 1)) is None


def test_what_comes_from_no_room_is_a_message() -> None:
    formats = Formats(JSON_CODEC, lambda room, format, to: None)
    publication = Publication("*", Json('{"to":"all"}'), 0.0)
    said = {"push": {"message": {"data": {"to": "all"}}}}
    assert json.loads(formats.messages.present(publication)) == said
    assert json.loads(formats.messages.personal(publication.payload)) == said
    assert json.loads(formats.of(ROOM, DeltaState.NONE, None).personal("text")) == {
        "push": {"message": {"data": "text"}}
    }
