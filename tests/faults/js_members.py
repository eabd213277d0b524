"""Clients of the official JavaScript SDK, in a process of Node's, that write down all they are told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from delivery_logs import ClientLog, Joined, Place, Received
from members import Data
from node_sdk import installed_sdk
from sdk_members import ENDPOINT, LINK_LOST

SCRIPT = Path(__file__).with_name("sdk_members.mjs")


class Told(msgspec.Struct):
    """One line of what Node says."""

    client: int
    event: str
    time: float
    pid: int = 0
    code: int = 0
    epoch: str = ""
    offset: int = 0
    recovered: bool | None = None
    data: Data | None = None


class NodeProcess:
    """The process with the clients in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._members: list[JsMember] = []

    def member(self, base: str, room: str, name: str) -> "JsMember":
        """One more client."""
        member = JsMember(self, len(self._members), base, room, name)
        self._members.append(member)
        return member

    def command(self, client: int, do: str, **more: str) -> None:
        """Have a client do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"client": client, "do": do, **more}).encode() + b"\n")

    async def listen(self) -> None:
        """Pass on what Node says, until it ends."""
        assert self._process.stdout is not None
        decode = msgspec.json.Decoder(Told).decode
        while line := await self._process.stdout.readline():
            told = decode(line)
            self._members[told.client].hear(told)

    async def end(self) -> None:
        """End the process; it must have been well until now."""
        assert self._process.stdin is not None
        died = self._process.returncode
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        finally:
            if self._process.returncode is None:
                self._process.kill()
        assert died is None, f"Node ended with {died}"


class JsMember:
    """One client in one room."""

    def __init__(self, node: NodeProcess, number: int, base: str, room: str, name: str) -> None:
        self.base = base
        self.log = ClientLog(f"{name} (JavaScript)", room)
        self.place: Place | None = None
        self.pid = 0
        self.losses = 0
        self._node = node
        self._number = number
        self._joined = asyncio.Event()
        self._gone = asyncio.Event()
        self._leaves = False

    @property
    def online(self) -> bool:
        """Whether it has joined, and the connection stands."""
        return self._joined.is_set()

    async def come(self, seconds: float = 20.0) -> None:
        """Connect, again and again if need be, and wait until it has joined."""
        self._leaves = False
        self._node.command(self._number, "come", url=self.base + ENDPOINT, room=self.log.room)
        try:
            await asyncio.wait_for(self._joined.wait(), seconds)
        except TimeoutError:
            raise AssertionError(f"{self.log.client} has not joined within {seconds} s") from None

    async def go(self) -> None:
        """Vanish until it comes again, with the position it has."""
        await self._leave("go")

    async def again(self) -> None:
        """Go, forget everything, and come as if for the first time; perhaps to another process."""
        await self._leave("forget")
        self.log.events.clear()
        self.place = None
        await self.come()

    async def _leave(self, how: str) -> None:
        self._leaves = True
        self._gone.clear()
        self._node.command(self._number, how)
        await asyncio.wait_for(self._gone.wait(), 10)
        self._joined.clear()

    def hear(self, told: Told) -> None:
        """Something happened to it."""
        match told.event:
            case "connected":
                self.pid = told.pid
            case "subscribed":
                self.place = Place(told.epoch, told.offset)
                self.log.events.append(Joined(told.time, self.place, told.recovered))
                self._joined.set()
            case "subscribing" | "unsubscribed":
                self.losses += self.online and told.code == LINK_LOST and not self._leaves
                self._joined.clear()
            case "publication":
                assert self.place is not None
                assert told.data is not None
                self.place = Place(self.place.epoch, told.offset)
                data = told.data
                self.log.events.append(
                    Received(told.time, self.place, data.room, data.publisher, data.sequence)
                )
            case "gone":
                self._gone.set()


@asynccontextmanager
async def node_process(ping_delay: float = 10.0) -> AsyncIterator[NodeProcess]:
    """Node with the SDK, until the end of the block; a ping may be so many seconds late."""
    script = await asyncio.to_thread(installed_sdk) / SCRIPT.name
    script.write_bytes(SCRIPT.read_bytes())
    node = NodeProcess(
        await asyncio.create_subprocess_exec(
            "node",
            str(script),
            str(int(ping_delay * 1_000)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1_048_576,
        )
    )
    listening = asyncio.create_task(node.listen())
    try:
        yield node
    finally:
        await node.end()
        await listening
