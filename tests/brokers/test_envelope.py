"""What is written between nodes comes back as it was, and anything else is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub import BrokerError, Position
from hubbub.brokers import envelope
from hubbub.core.messages import Json, to_payload

texts = st.text(st.characters(exclude_categories=("Cs",)))
payloads = texts | st.binary() | texts.map(lambda text: to_payload({"text": text}))


@given(payloads, texts | st.none(), texts | st.none(), st.dictionaries(texts, texts) | st.none())
def test_a_publication_comes_back_as_it_was(
    payload: str | bytes, publisher: str | None, key: str | None, tags: dict[str, str] | None
) -> None:
    data = envelope.encode(payload, 1.5, publisher, key, tags)
    publication = envelope.decode(data).publication("r", Position("e", 1))
    assert (publication.payload, type(publication.payload)) == (payload, type(payload))
    assert (publication.publisher, publication.key, publication.tags) == (publisher, key, tags)
    assert (publication.room, publication.time, publication.position) == ("r", 1.5, Position("e", 1))


def test_json_stays_json_and_text_stays_text() -> None:
    assert isinstance(envelope.decode(envelope.encode(Json("{}"), 0.0)).payload, Json)
    assert not isinstance(envelope.decode(envelope.encode("{}", 0.0)).payload, Json)


def test_what_a_later_version_adds_at_the_end_is_passed_over() -> None:
    data = msgspec.msgpack.encode([1, 0, b"a", 1.0, None, None, None, "something new"])
    assert envelope.decode(data).payload == "a"


@given(st.binary(max_size=200))
def test_bytes_that_are_no_envelope_are_refused(data: bytes) -> None:
    with pytest.raises(BrokerError):
        envelope.decode(b"\xc1" + data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        msgspec.msgpack.encode([2, 0, b"a", 1.0]),
        msgspec.msgpack.encode([1, 3, b"a", 1.0]),
        msgspec.msgpack.encode([1, 0, b"\xff", 1.0]),
        msgspec.msgpack.encode([1, 0, "a", 1.0]),
        msgspec.msgpack.encode({"version": 1}),
        b"\x91" * 100_000,
    ],
    ids=["empty", "newer", "kind", "not UTF-8", "type", "map", "deep"],
)
def test_what_this_node_cannot_read_is_refused(data: bytes) -> None:
    with pytest.raises(BrokerError):
        envelope.decode(data)


def test_what_is_too_large_is_not_written() -> None:
    with pytest.raises(BrokerError, match="too large"):
        envelope.encode(b"x" * envelope.MAX_BYTES, 0.0)


def test_what_is_too_large_is_not_read() -> None:
    data = envelope.encode(b"x" * (envelope.MAX_BYTES - 100), 0.0)
    assert envelope.decode(data)
    with pytest.raises(BrokerError, match="too large"):
        envelope.decode(data.ljust(envelope.MAX_BYTES + 1))
