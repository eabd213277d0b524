"""One of many members stops reading: the others get everything as before, and it is closed."""

from typing import Any

import pytest
from benchmarks.build import build
from benchmarks.load import Load
from benchmarks.measure import fault
from benchmarks.peers import ALL
from benchmarks.process import ServerProcess, free_port
from figure_table import Tell
from figures import FULL, sized

pytestmark = pytest.mark.timeout(sized(120, 300))

MEMBERS = sized(20, 1_000)
SIZE = sized(32_768, 1_024)
"""Bytes of a message."""

RATE = sized(100, 200)
"""Messages a second."""

SECONDS = sized(3, 24)
"""Long enough to fill the buffers and the outbox of the stalled one, and not 10 s longer: then it is dropped,
since it does not even take the close frame."""

TRY_AGAIN_LATER = 1013
MEMORY = 30 << 20
"""Bytes that the server may grow by: the outbox of the stalled one, and what the allocator keeps."""

SERVER = next(one for one in ALL if one.name == "hubbub-bare")


def measured(stalled: int) -> dict[str, Any]:
    """What the load generator saw, and by how much the server's memory grew."""
    port = free_port()
    options = {"connections": MEMBERS + stalled, "stalled": stalled, "size": SIZE, "rate": RATE}
    options |= {"warmup": 0.5, "seconds": SECONDS, "timeout": SECONDS + 40, "stuck": 10}
    arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    arguments += ["--path", SERVER.paths["fanout"]]
    with (
        ServerProcess("stalled", SERVER.argv(port), port, None, SERVER.env) as process,
        Load(build("loadgen"), arguments, port, None) as load,
    ):
        load.ready()
        before = process.memory()
        seen = load.go()
        seen["growth"] = process.memory() - before
    return seen


def test_the_others_do_not_wait_for_a_stalled_reader(tell: Tell) -> None:
    without, beside = measured(0), measured(1)
    p99, before = beside["p99_us"] / 1e3, without["p99_us"] / 1e3
    tell("members, messages", f"{MEMBERS:,}, {SIZE:,} bytes x {RATE}/s for {SECONDS} s")
    tell("p99 beside a stalled reader", f"{p99:.2f} ms, without {before:.2f} ms", "within 10 % or 5 ms")
    tell("the stalled one", f"closed with {beside['stalled_code']}", "1013")
    tell("server memory", f"{beside['growth'] / 1e6:+.1f} MB", "30 MB")
    assert (fault(without), fault(beside)) == (None, None)
    assert beside["stalled_code"] == TRY_AGAIN_LATER
    assert beside["growth"] < MEMORY
    if FULL:
        assert p99 < max(1.1 * before, before + 5)
