"""The load generator must notice what it is trusted to notice: each fault is planted and must be counted."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.build import build
from benchmarks.process import ServerProcess, free_port
from tcp_server import Handler, tcp_server
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

SERVER = Path(__file__).with_name("faulty_server.py")
COUNTS = ("lost", "doubled", "reordered", "damaged", "foreign")


@pytest.fixture(scope="module")
def loadgen() -> Path:
    return build("loadgen")


def run(loadgen: Path, port: int, *arguments: str) -> dict[str, Any]:
    command = [str(loadgen), "--port", str(port), "--timeout", "20", "--warmup", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        ("none", {}),
        ("lose", {"lost": 1}),
        ("double", {"doubled": 1}),
        ("swap", {"reordered": 1}),
        ("damage", {"damaged": 1}),
        ("shorten", {"damaged": 1}),
        ("foreign", {"foreign": 1}),
    ],
)
def test_a_planted_fault_is_counted_and_nothing_else(
    loadgen: Path, fault: str, counted: dict[str, int]
) -> None:
    port = free_port()
    with ServerProcess(f"faulty-{fault}", [sys.executable, str(SERVER), str(port), fault], port, None, {}):
        options = (
            "--connections",
            "5",
            "--window",
            "4",
            "--messages",
            "30",
            "--seconds",
            "5",
            "--stuck",
            "0.5",
        )
        found = run(loadgen, port, *options)
    assert {name: found[name] for name in COUNTS} == {name: counted.get(name, 0) for name in COUNTS}
    assert found["complete"] is (fault != "lose")
    assert found["deliveries"] == found["messages"] * 5 - counted.get("lost", 0)
    assert found["messages"] == 30 or fault == "lose"


@pytest.mark.parametrize("size", [125, 126, 65535, 65536, 200_000])
def test_frames_of_every_length_form_arrive_whole(loadgen: Path, size: int) -> None:
    port = free_port()
    with ServerProcess("floor-test", [str(build("floor")), str(port), "20"], port, None, {}):
        found = run(
            loadgen, port, "--connections", "3", "--messages", "20", "--seconds", "5", "--size", str(size)
        )
    assert found["complete"] is True
    assert found["deliveries"] == 60
    assert all(found[name] == 0 for name in COUNTS)


async def run_against(loadgen: Path, handler: Handler, *arguments: str) -> tuple[int, str, str]:
    """Runs the load generator against a handler of raw bytes. Returns exit code, output and errors."""
    async with tcp_server(handler) as port:
        command = [str(loadgen), "--port", str(port), "--timeout", "5", "--warmup", "0", *arguments]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(*command, **piped)
        out, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def read_key(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return next(line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))


async def test_a_frame_that_comes_byte_by_byte_is_one_message(loadgen: Path) -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accept = accept_key((await read_key(reader)).decode())
        answer = f"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {accept}\r\n\r\n".encode()
        await send_slowly(writer, answer)
        header = await reader.readexactly(6)
        masked = await reader.readexactly(header[1] & 127)
        payload = bytes(byte ^ header[2 + index % 4] for index, byte in enumerate(masked))
        ping = Frame(Opcode.PING, b"still there?").serialize(mask=False)
        await send_slowly(writer, ping + Frame(Opcode.TEXT, payload).serialize(mask=False))
        await reader.read()
        writer.close()

    async def send_slowly(writer: asyncio.StreamWriter, data: bytes) -> None:
        for index in range(len(data)):
            writer.write(data[index : index + 1])
            await writer.drain()
            await asyncio.sleep(0)

    options = ("--mode", "echo", "--connections", "1", "--messages", "1", "--size", "100", "--seconds", "3")
    code, out, err = await run_against(loadgen, dribble, *options)
    assert code == 0, err
    found = json.loads(out.splitlines()[-1])
    assert found["deliveries"] == 1
    assert all(found[name] == 0 for name in COUNTS)


async def test_a_wrong_handshake_answer_is_no_connection(loadgen: Path) -> None:
    async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_key(reader)
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        )
        await reader.read()
        writer.close()

    code, _, err = await run_against(loadgen, wrong, "--connections", "1")
    assert code == 1
    assert "not the answer to a WebSocket upgrade" in err


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "192.168.1.1", "localhost", "128.0.0.1"])
def test_it_refuses_every_address_that_is_not_loopback(loadgen: Path, host: str) -> None:
    done = subprocess.run(
        [str(loadgen), "--port", "9", "--host", host], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "only loopback addresses" in done.stderr
