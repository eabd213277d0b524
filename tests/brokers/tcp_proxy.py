"""A TCP proxy whose links can be cut, swallowed and delayed."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from tcp_server import turns


class TcpProxy:
    """Passes bytes between clients and one port of the loopback interface."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.delay = 0.0
        """Seconds that bytes take in each direction."""
        self.refuses = False
        """Whether new links are cut at once."""

    @property
    def port(self) -> int:
        """Where clients connect."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def links(self) -> int:
        """Links that are open now."""
        return len(self._writers) // 2

    def cut(self) -> None:
        """Reset all links (RST): both sides notice at once."""
        for writer in list(self._writers):
            _reset(writer)

    def swallow(self) -> None:
        """Become a black hole: links stay open, new ones too, and nothing comes through."""
        self._open.clear()

    def flow(self) -> None:
        """End the black hole; what was swallowed comes now."""
        self._open.set()

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Cut all links and stop listening."""
        assert self._server is not None
        self.refuses = True
        self._server.close()
        await turns()  # links that were accepted just now become ours, and are refused
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await turns()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refuses:
            _reset(writer)
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except (OSError, asyncio.CancelledError):
            _reset(writer)
            return
        self._writers |= {writer, there[1]}
        for source, sink in ((reader, there[1]), (there[0], writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                await self._open.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            self._writers.discard(sink)
            sink.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def tcp_proxy(target: int) -> AsyncIterator[TcpProxy]:
    """A proxy in front of a port."""
    proxy = TcpProxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


class ThreadedProxy:
    """A proxy with an event loop of its own, in a thread: tests with loops of their own can share it."""

    def __init__(self, target: int) -> None:
        self._proxy = TcpProxy(target)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._proxy.port

    @property
    def links(self) -> int:
        """Links that are open now."""
        return self._proxy.links

    def cut(self, *, refuse: bool = False) -> None:
        """Reset all links (RST), and new ones until it is healed if asked to."""
        self._proxy.refuses = refuse
        self._do(self._proxy.cut)

    def swallow(self) -> None:
        """Become a black hole."""
        self._do(self._proxy.swallow)

    def heal(self) -> None:
        """Let everything through; what was swallowed comes now."""
        self._proxy.refuses = False
        self._do(self._proxy.flow)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.start(), self._loop).result(10)

    def stop(self) -> None:
        """Cut all links and stop listening."""
        asyncio.run_coroutine_threadsafe(self._proxy.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, what: Callable[[], None]) -> None:
        done = threading.Event()

        def do() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(do)
        assert done.wait(10), "the proxy does not answer"


@contextmanager
def threaded_proxy(target: int) -> Iterator[ThreadedProxy]:
    """A proxy in front of a port, for several tests."""
    proxy = ThreadedProxy(target)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
