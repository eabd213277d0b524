"""Payloads: what becomes of a message on its way out, and of JSON on its way in."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.errors import InvalidMessage, WrongMessageType
from hubbub.core.messages import Publication, from_json, payload_bytes, to_payload


@dataclass
class Point:
    x: int


class Model:
    """Looks like a pydantic model, to which nothing else of pydantic matters here."""

    def model_dump(self, *, mode: str) -> dict[str, str]:
        return {"mode": mode}


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ("text", "text"),
        ("", ""),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"ab")[1:], b"b"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        ("é", "é"),
        ({"é": "😀"}, '{"é":"😀"}'),
        (None, "null"),
        (3, "3"),
        (Point(1), '{"x":1}'),
        (Model(), '{"mode":"json"}'),
        (uuid.UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), '"2026-01-01T00:00:00Z"'),
    ],
)
def test_text_and_bytes_stay_and_the_rest_becomes_json(message: object, payload: str | bytes) -> None:
    assert to_payload(message) == payload


@pytest.mark.parametrize("message", [object(), {"a": object()}, {1.5j}, {"a": "\ud800"}])
def test_what_cannot_be_written_is_a_type_error(message: object) -> None:
    with pytest.raises(TypeError):
        to_payload(message)


@pytest.mark.parametrize("message", ["\ud800", "a\udfff"])
def test_text_that_has_no_utf8_form_is_invalid(message: str) -> None:
    with pytest.raises(InvalidMessage, match="Unicode"):
        to_payload(message)


def test_json_is_decoded() -> None:
    assert from_json('{"a": [1, "é"]}') == {"a": [1, "é"]}


@pytest.mark.parametrize("text", ["", "{", "nope", "{'a': 1}", "NaN", '"\ud800"', '"\\ud800"', "1 2"])
def test_what_is_not_json_is_an_invalid_message(text: str) -> None:
    with pytest.raises(InvalidMessage, match="Invalid JSON"):
        from_json(text)


@pytest.mark.parametrize("depth", [65, 1_000, 100_000])
def test_a_deep_nest_is_called_so_however_deep_the_parser_gets(depth: int) -> None:
    with pytest.raises(InvalidMessage, match="JSON nested too deeply"):
        from_json("[" * depth + "]" * depth)


def test_what_cannot_be_json_is_named() -> None:
    with pytest.raises(TypeError, match=r"^A message of type object cannot be sent as JSON$"):
        to_payload(object())


def test_binary_is_no_json() -> None:
    with pytest.raises(WrongMessageType):
        from_json(b"{}")


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(json_values)
def test_json_comes_back_as_it_went(value: Any) -> None:
    payload = to_payload(value)
    if not isinstance(value, str):
        assert from_json(payload) == value


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.binary())
def test_a_payload_is_as_large_as_its_bytes(payload: str | bytes) -> None:
    raw = payload if isinstance(payload, bytes) else payload.encode()
    assert payload_bytes(payload) == len(raw)
    assert Publication("r", payload, 0.0).size <= len(raw)


def test_a_publication_cannot_be_changed() -> None:
    publication = Publication("r", "a", 1.0)
    with pytest.raises(AttributeError):
        publication.payload = "b"  # type: ignore[misc]
    assert msgspec.structs.replace(publication, payload="b").payload == "b"


@pytest.mark.parametrize("depth", [64, 65, 500, 100_000])
def test_json_may_be_nested_64_deep(depth: int) -> None:
    text = "[" * depth + "]" * depth
    if depth <= 64:
        assert from_json(text) is not None
    else:
        with pytest.raises(InvalidMessage):
            from_json(text)


def test_wide_json_is_not_taken_for_deep() -> None:
    assert len(from_json("[" + ",".join(['{"a":[1]}'] * 1_000) + "]")) == 1_000
