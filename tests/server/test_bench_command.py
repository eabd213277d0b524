"""``hubbub bench`` against a server that works, and against servers with a planted fault."""

import asyncio
import itertools
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from click.testing import CliRunner
from server_process import HUBBUB, ServerProcess, environment_of, running
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed

from hubbub.server.cli import main
from hubbub.server.commands.load import Load, LoadError, Plan
from hubbub.server.commands.load_figures import Histogram, Tally
from hubbub.server.commands.load_targets import PlainTarget

SECONDS = 40.0
GIVEN = {"HUBBUB_SECRET": "test-secret-0123456789-abcdefghijklm", "HUBBUB_API_KEY": "k" * 8 + "ey" * 12}
SMALL = ("--clients", "6", "--rooms", "2", "--rate", "40", "--seconds", "1")
"""40 messages, each to three clients."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that nothing is wrong with."""
    with running([*HUBBUB, "serve", "--drain", "0"], tmp_path_factory.mktemp("bench") / "log", GIVEN) as one:
        yield one


async def bench(url: str, *options: str, after: str = "") -> tuple[int, str]:
    """Exit status and output. With `after`, Ctrl-C comes when that was printed."""
    process = await asyncio.create_subprocess_exec(
        *HUBBUB,
        "bench",
        "--url",
        url,
        *options,
        env=environment_of(GIVEN),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    printed = ""
    try:
        async with asyncio.timeout(SECONDS):
            while line := (await process.stdout.readline()).decode():
                printed += line
                if after and after in line:
                    process.send_signal(signal.SIGINT)
            return await process.wait(), printed
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def figure(printed: str, name: str) -> int:
    """The number after a name."""
    found = re.search(rf"^{name} +([\d,]+)", printed, re.MULTILINE)
    assert found, printed
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("protocol", ["plain", "centrifuge"])
async def test_on_a_server_that_works_everything_arrives_once(server: ServerProcess, protocol: str) -> None:
    status, printed = await bench(server.origin, *SMALL, "--protocol", protocol)
    assert status == 0, printed
    assert "6 clients in 2 rooms\n" in printed
    assert [figure(printed, name) for name in ("sent", "deliveries", "lost", "doubled")] == [40, 120, 0, 0]
    assert re.search(r"^latency +p50 [\d.]+ ms  p99 [\d.]+ ms", printed, re.MULTILINE)
    assert "Traceback" not in printed


async def test_ctrl_c_ends_it_early_with_the_figures_so_far(server: ServerProcess) -> None:
    status, printed = await bench(server.origin, *SMALL, "--seconds", "600", after="1 s ")
    assert status == 0, printed
    assert 0 < figure(printed, "sent") < 4_000
    assert figure(printed, "lost") == 0


@asynccontextmanager
async def faulty_server(fault: str) -> AsyncIterator[str]:
    """One room for all, in which every tenth message is treated wrongly for one of its members."""
    members: list[ServerConnection] = []
    numbers = itertools.count()

    async def member(socket: ServerConnection) -> None:
        members.append(socket)
        with suppress(ConnectionClosed):
            async for text in socket:
                odd = " -1 " not in str(text) and next(numbers) % 10 == 5
                if fault != "says nothing":
                    broadcast(members[1:] if odd and fault == "loses" else members, text)
                if odd and fault == "doubles":
                    broadcast(members[:1], text)
                if odd and fault == "cuts off":
                    await members[0].close(1013, "too slow")

    async with serve(member, "127.0.0.1", 0) as one:
        port = next(iter(one.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def loaded(fault: str) -> Load:
    """A load on a faulty server, when it is over: 40 messages to four clients."""
    plan = Plan(rooms=1, clients=4, size=100, rate=40.0, seconds=1.0)
    async with faulty_server(fault) as url:
        load = Load(plan, PlainTarget(url, "/", "run"), "run", print)
        await load.run()
    return load


@pytest.mark.parametrize(("fault", "lost", "doubled"), [("loses", 4, 0), ("doubles", 0, 4), ("", 0, 0)])
async def test_a_planted_fault_is_counted(
    fault: str, lost: int, doubled: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubbub.server.commands.load.SETTLING", 0.5)
    load = await loaded(fault)
    assert (load.lost, load.tally.doubled()) == (lost, doubled)
    assert not load.tally.endings + load.tally.refusals


async def test_a_client_that_is_cut_off_is_told_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.server.commands.load.SETTLING", 0.5)
    load = await loaded("cuts off")
    assert load.tally.endings == {"1013 too slow": 1}
    assert set(load.tally.refusals) == {"its connection had ended"}
    assert load.tally.doubled() == 0


async def test_a_server_that_passes_nothing_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubbub.server.commands.load.PATIENCE", 1.0)
    with pytest.raises(LoadError, match="4 of 4 clients heard nothing"):
        await loaded("says nothing")


async def test_when_everybody_is_cut_off_it_ends_at_once() -> None:
    async def closes(socket: ServerConnection) -> None:
        async for text in socket:
            await socket.send(text)
            if " -1 " not in str(text):
                await socket.close(1008, "too many")

    async with serve(closes, "127.0.0.1", 0) as one:
        url = f"http://127.0.0.1:{next(iter(one.sockets)).getsockname()[1]}"
        plan = Plan(rooms=2, clients=2, size=100, rate=100.0, seconds=600.0)
        load = Load(plan, PlainTarget(url, "/", "run"), "run", print)
        await load.run()
    assert load.tally.endings == {"1008 too many": 2}
    assert load.elapsed < 60.0


async def test_a_server_that_closes_during_the_warm_up_is_told() -> None:
    async def closes(socket: ServerConnection) -> None:
        await socket.close(1008, "not today")

    async with serve(closes, "127.0.0.1", 0) as one:
        url = f"http://127.0.0.1:{next(iter(one.sockets)).getsockname()[1]}"
        plan = Plan(rooms=1, clients=2, size=100, rate=1.0, seconds=1.0)
        with pytest.raises(LoadError, match="the server said: 1008 not today"):
            await Load(plan, PlainTarget(url, "/", "run"), "run", print).run()


async def test_a_server_that_reads_no_more_does_not_hold_it_up_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hubbub.server.commands.load.SETTLING", 0.5)
    over = asyncio.Event()

    async def stalls(socket: ServerConnection) -> None:
        await socket.send(await socket.recv())
        socket.transport.pause_reading()
        await over.wait()

    told: list[str] = []
    async with serve(stalls, "127.0.0.1", 0, ping_interval=None, max_queue=1, close_timeout=0.1) as one:
        url = f"http://127.0.0.1:{next(iter(one.sockets)).getsockname()[1]}"
        plan = Plan(rooms=1, clients=1, size=60_000, rate=1_000.0, seconds=1.0)
        load = Load(plan, PlainTarget(url, "/", "run"), "run", told.append)
        async with asyncio.timeout(30.0):
            await load.run()
        over.set()
    assert "the server takes no more" in told
    assert load.lost > 0


async def test_a_fault_ends_the_command_with_1() -> None:
    async with faulty_server("doubles") as url:
        status, printed = await bench(url, *SMALL, "--rooms", "1")
    assert figure(printed, "doubled") == 4
    assert status == 1


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--url", "https://hub.example.com"), 2, "--yes says that it may be loaded"),
        (("--rate", "10000", "--rooms", "1", "--seconds", "600"), 2, "600,000,000 deliveries"),
        (("--clients", "10001"), 2, "'--clients'"),
        (("--seconds", "601"), 2, "'--seconds'"),
        (("--url", "http://127.0.0.1:1"), 1, "client 1 of 100: "),
        (("--path", "/nowhere/{room}"), 1, "HTTP 403"),
        (("--protocol", "centrifuge", "--room", "nowhere"), 1, "unknown channel (102)"),
    ],
)
def test_what_cannot_be_is_refused(
    server: ServerProcess, options: tuple[str, ...], status: int, said: str
) -> None:
    answer = CliRunner().invoke(main, ["bench", *options], env={**GIVEN, "HUBBUB_URL": server.origin})
    assert answer.exit_code == status
    assert "Error: " in answer.output
    assert said in answer.output
    assert isinstance(answer.exception, SystemExit), "an error of its own would be a traceback"


def test_the_percentiles_are_those_of_the_times() -> None:
    times = Histogram()
    assert times.percentile(0.99) == 0.0
    for milliseconds in range(1, 1_001):
        times.add(milliseconds * 1_000)
    for share in (0.5, 0.99, 1.0):
        assert times.percentile(share) == pytest.approx(share * 1_000, rel=0.03)
    assert times.total == 1_000
    times.add(0.0)
    assert times.percentile(0.0001) < 0.01


def test_a_tally_knows_what_is_missing_and_what_came_twice() -> None:
    tally = Tally(messages=5)
    tally.sent[0] = 4
    for number in (0, 1, 1, 1, 3):
        tally.arrived(7, number, 10.0)
    assert tally.missing(7, 0) == 1
    assert tally.missing(8, 0) == 4
    tally.not_sent(0, 2)
    assert (tally.missing(7, 0), tally.missing(8, 0)) == (0, 3)
    assert tally.doubled() == 2
    assert tally.deliveries == 5
