"""``hubbub bench``: a load on a running server, and how it bears it."""

import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from hubbub.server.commands.load import Load, LoadError, Plan, Target
from hubbub.server.commands.load_targets import CentrifugeTarget, PlainTarget
from hubbub.server.commands.options import read_configuration
from hubbub.server.commands.talking import Api, address_of, is_this_machine, talking

MOST_DELIVERIES: Final = 50_000_000
"""In one run: each takes a byte here."""

BUSY: Final = 0.8
"""The share of a processor from which on the load generator itself holds the load up."""

OTHER_FILES: Final = 100
"""Open files of this process that are no clients."""


@click.command(short_help="Load it, and show how it bears that.")
@click.option(
    "--protocol",
    type=click.Choice(["plain", "centrifuge"]),
    default="plain",
    show_default=True,
    help="What the clients speak.",
)
@click.option(
    "--path",
    default="/ws/room/{room}",
    show_default=True,
    metavar="PATH",
    help="Of plain clients: any path whose clients hear what each of them says. {room} is the room.",
)
@click.option(
    "--room",
    default="chat:{room}",
    show_default=True,
    metavar="NAME",
    help="Of Centrifuge clients: rooms in which members may publish. {room} sets them apart.",
)
@click.option(
    "--clients", default=100, show_default=True, type=click.IntRange(1, 10_000), help="How many in all."
)
@click.option(
    "--rooms", default=10, show_default=True, type=click.IntRange(1, 10_000), help="Each client is in one."
)
@click.option(
    "--rate",
    default=100.0,
    show_default=True,
    type=click.FloatRange(0, 10_000, min_open=True),
    help="Messages a second, from all clients together.",
)
@click.option(
    "--size", default=128, show_default=True, type=click.IntRange(64, 60_000), help="Bytes of a message."
)
@click.option(
    "--seconds", default=10.0, show_default=True, type=click.FloatRange(1, 600), help="How long it sends."
)
@click.option("--yes", is_flag=True, help="Load a server on another machine. Ask whoever runs it first.")
@talking
def bench(
    protocol: str,
    path: str,
    room: str,
    clients: int,
    rooms: int,
    rate: float,
    size: int,
    seconds: float,
    yes: bool,
    file: Path | None,
    url: str | None,
    insecure: bool,
) -> None:
    """Load a running server, and show how it bears it.

    Clients in rooms say things at a rate; each second a line tells what has arrived, and how late.
    Ctrl-C ends it early. Ends with 1 if a message was lost, doubled or refused, or a client was cut off.
    """
    configuration = read_configuration(file)
    address = address_of(configuration.settings, url, insecure)
    if not is_this_machine(address) and not yes:
        raise click.UsageError(f"{address} is another machine: --yes says that it may be loaded")
    plan = Plan(rooms=min(rooms, clients), clients=clients, size=size, rate=rate, seconds=seconds)
    if plan.deliveries > MOST_DELIVERIES:
        raise click.UsageError(
            f"That would be {plan.deliveries:,} deliveries; {MOST_DELIVERIES:,} is the most: "
            "fewer --seconds, --rate or --clients, or more --rooms"
        )
    _allow_open_files(clients)
    run = secrets.token_hex(4)
    click.echo(f"{address}, {protocol}: {rate:g} messages/s of {size} bytes for {seconds:g} s")
    if protocol == "plain":
        load, busy = asyncio.run(_run(plan, PlainTarget(address, path, run), run))
    else:
        target = CentrifugeTarget(address, room, run, configuration)
        load, busy = asyncio.run(_run(plan, target, run))
        _forget([target.name(number) for number in range(plan.rooms)], file, url, insecure)
    if not _summarize(load, busy):
        sys.exit(1)


def _allow_open_files(clients: int) -> None:
    """Raise this process's limit as far as it may go. Raises `click.ClickException` if that is too low."""
    if sys.platform == "win32":  # which has no such limit
        return
    import resource

    needed = clients + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise click.ClickException(f"{clients} clients need {needed} open files; the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def _run(plan: Plan, target: Target, run: str) -> tuple[Load, float]:
    """The load when it is over, and the share of a processor that it took here."""
    load = Load(plan, target, run, click.echo)
    with suppress(NotImplementedError):  # on Windows Ctrl-C ends the command at once
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, load.stopped.set)
    before, began = time.process_time(), time.perf_counter()
    try:
        await load.run()
    except LoadError as error:
        raise click.ClickException(str(error)) from error
    return load, (time.process_time() - before) / (time.perf_counter() - began)


def _forget(rooms: Sequence[str], file: Path | None, url: str | None, insecure: bool) -> None:
    """Remove what the rooms remember, where there is a key for it."""
    try:
        api = Api.of(file, url, None, insecure)
        for room in rooms:
            api.call("history_remove", {"channel": room})
    except click.ClickException as error:
        click.echo(f"The rooms keep what they remember of this: {error.message}", err=True)


def _summarize(load: Load, busy: float) -> bool:
    """Print the figures, and return whether all went well."""
    tally = load.tally
    sent, doubled = sum(tally.sent.values()), tally.doubled()
    times = "  ".join(f"p{share:g} {tally.all.percentile(share / 100):.2f} ms" for share in (50, 99, 99.9))
    click.echo(f"sent        {sent:,} in {load.elapsed:.1f} s: {sent / load.elapsed:,.0f}/s")
    click.echo(f"deliveries  {tally.deliveries:,}: {tally.deliveries / load.elapsed:,.0f}/s")
    click.echo(f"latency     {times}")
    click.echo(f"lost        {load.lost:,}")
    click.echo(f"doubled     {doubled:,}")
    for heading, counts in (("cut off", tally.endings), ("refused", tally.refusals)):
        for said, count in counts.most_common(5):
            click.echo(f"{heading:10}  {count:,}: {said}")
    if busy > BUSY:
        said = f"note        this command took {busy:.0%} of a processor: the server may be able to do more"
        click.echo(said, err=True)
    return not (load.lost or doubled or tally.endings or tally.refusals)
