"""Writing ready frames, for a client that keeps up, falls behind, and catches up."""

import asyncio
from collections.abc import Callable

import pytest
from polling import eventually, turns

from hubbub import Disconnected
from hubbub.asgi.direct_writer import DirectWriter
from hubbub.asgi.events import Event
from hubbub.asgi.frames import FRAME_CODEC, frame_writer
from hubbub.asgi.interrupt import Waits
from hubbub.core.messages import Payload
from hubbub.core.outbox import Overflow

CLOSE: Event = {"type": "websocket.close", "code": 1000, "reason": ""}


class Socket:
    """The server's frame writer over a socket that takes everything until it is full."""

    deflate = False
    descriptor = -1
    open = True

    def __init__(self, limit: int = 200) -> None:
        self.wire: list[bytes] = []
        self.paused = False
        self.on_pause: Callable[[], None] | None = None
        self.on_resume: Callable[[], None] | None = None
        self.aborted = False
        self.told: list[object] = []
        self.waits = Waits()
        self.writer = DirectWriter(self, self._send, limit, self.waits, self)

    def write_frames(self, data: bytes) -> None:
        self.wire.append(data)

    def write_rest(self, data: bytes) -> None:
        raise AssertionError("nothing was written to a descriptor")

    def buffered(self) -> int:
        return 7 if self.paused else 0

    def abort(self) -> None:
        self.aborted = True

    async def ping(self) -> float:
        raise NotImplementedError

    async def _send(self, event: Event) -> None:
        await eventually(lambda: not self.paused)
        self.wire.append(b"close")

    def resume(self) -> None:
        self.paused = False
        assert self.on_resume is not None
        self.on_resume()

    # What the writer tells

    def received(self, payload: Payload) -> bool:
        raise AssertionError("not for a writer to say")

    def regrouped(self) -> None:
        self.told.append("regrouped")

    def slow(self) -> None:
        self.told.append("slow")

    def dropped(self, count: int) -> None:
        self.told.append(count)

    def lost(self, cause: Disconnected) -> None:
        self.told.append(cause)

    # What a test does

    def write(self, *texts: str, overflow: Overflow = Overflow.DISCONNECT) -> None:
        items = [FRAME_CODEC.encode(text, room="r", overflow=overflow) for text in texts]
        self.writer.write(FRAME_CODEC.join(items))

    @property
    def texts(self) -> str:
        """What has been sent, with the heads of the frames left out."""
        return (
            b"".join(self.wire).replace(b"close", b"!").translate(None, bytes(range(32)) + b"\x81").decode()
        )


def test_a_server_without_the_extension_has_no_frame_writer() -> None:
    assert frame_writer({"extensions": {"websocket.http.response": {}}}) is None
    assert frame_writer({"extensions": None}) is None
    assert frame_writer({}) is None


async def test_a_client_that_keeps_up_gets_each_batch_in_one_piece() -> None:
    socket = Socket()
    socket.write("a", "b")
    await socket.writer.send(FRAME_CODEC.encode("c"))
    assert socket.wire == [b"\x81\x01a\x81\x01b", b"\x81\x01c"]
    assert (socket.writer.buffered, socket.writer.busy_since) == (0, None)


async def test_what_follows_a_pause_waits_and_keeps_its_order() -> None:
    socket = Socket()
    socket.paused = True
    socket.write("a", "b")
    sending = asyncio.create_task(socket.writer.send(FRAME_CODEC.encode("c")))
    await turns()
    assert (socket.texts, sending.done(), socket.writer.buffered) == ("", False, 7 + 3 * 3)
    assert socket.writer.busy_since is not None
    socket.resume()
    socket.write("d")
    await sending
    assert socket.texts == "abcd"
    assert socket.writer.busy_since is None


async def test_a_full_outbox_is_reported_and_a_close_takes_its_place() -> None:
    socket = Socket(limit=12)
    socket.paused = True
    socket.write("a", "b", "c", "d")
    assert socket.told == []
    socket.write("e")
    assert socket.told == ["slow"]
    socket.writer.close(CLOSE, discard=True)
    socket.writer.end(Disconnected(1013))
    socket.write("too late")
    socket.resume()
    await socket.writer.drained(5)
    assert socket.texts == "!"


async def test_what_a_policy_drops_is_counted() -> None:
    socket = Socket(limit=6)
    socket.paused = True
    socket.write("a", "b", "c", overflow=Overflow.DROP_OLDEST)
    assert socket.told == [1]
    socket.resume()
    assert socket.texts == "bc"


async def test_the_close_follows_what_waits() -> None:
    socket = Socket()
    socket.paused = True
    socket.write("a", "b")
    socket.writer.close(CLOSE, discard=False)
    socket.writer.end(Disconnected(1000))
    await turns()
    assert socket.texts == ""
    socket.resume()
    await socket.writer.drained(5)
    assert socket.texts == "ab!"


async def test_a_waiting_send_ends_with_the_connection() -> None:
    socket = Socket()
    socket.paused = True
    sending = asyncio.create_task(socket.writer.send(FRAME_CODEC.encode("a")))
    await turns()
    socket.writer.end(Disconnected(1001))
    socket.waits.interrupt()
    with pytest.raises(Disconnected) as caught:
        await sending
    assert caught.value.code == 1001


async def test_a_client_that_takes_not_even_the_close_is_cut_off() -> None:
    before = len(asyncio.all_tasks())
    socket = Socket()
    socket.paused = True
    socket.writer.close(CLOSE, discard=False)
    socket.writer.end(Disconnected(1013))
    await socket.writer.drained(0.02)
    socket.writer.abort()
    assert socket.aborted
    await eventually(lambda: len(asyncio.all_tasks()) == before)


async def test_an_abort_after_the_close_is_out_cuts_nothing_off() -> None:
    socket = Socket()
    socket.writer.close(CLOSE, discard=False)
    await socket.writer.drained(5)
    socket.writer.abort()
    assert (socket.texts, socket.aborted) == ("!", False)
