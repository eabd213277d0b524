"""The official SDKs at the edges of a resume: all that was missed or `recovered: false`, nobody else's."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from checker import check
from cluster import Cluster
from delivery_logs import ClientLog, Joined, Place, Received
from figures import Figures, sized
from mixed_crowd import Crowd, Kind, crowd
from nodes import SECRET
from polling import eventually
from publishers import HttpLink, press
from sdk_members import SdkMember

from hubbub.auth import Tokens

pytestmark = pytest.mark.timeout(sized(120, 120))

WINDOW = 10
"""Publications that the app keeps in rooms called ``small:``."""

PERMISSION_DENIED = 103
"""The protocol's code for a room that a client may not come into."""


def came(log: ClientLog) -> tuple[bool | None, list[int]]:
    """What the client was told when it came the last time, and the offsets that it then got."""
    start = max(number for number, event in enumerate(log.events) if isinstance(event, Joined))
    first = log.events[start]
    assert isinstance(first, Joined)
    return first.recovered, [
        event.place.offset for event in log.events[start:] if isinstance(event, Received)
    ]


def state_at(cluster: Cluster, room: str, place: Place) -> Callable[[], Awaitable[Place]]:
    """Loads a state that stands at that place; when it is too old, the room's present one."""
    loads = 0

    async def load() -> Place:
        nonlocal loads
        loads += 1
        if loads == 1:
            return place
        link = HttpLink(cluster.port)
        try:
            _, answer = await link.request("GET", f"/history?room={room}")
        finally:
            link.close()
        return Place(answer["position"]["epoch"], answer["position"]["offset"])

    return load


async def test_a_state_at_any_position_is_continued_exactly_or_loaded_again(
    cluster: Cluster, figures: Figures
) -> None:
    room, top = f"small:{cluster.prefix}", 25
    oldest, marker = top - WINDOW + 1, top + 1
    async with press(cluster.port, [room], 1, name=cluster.prefix) as one:
        await one.run(each=top)
        epoch = one.places[room].epoch
        continued = {
            Place(epoch, top): [marker],
            Place(epoch, top - 1): [top, marker],
            Place(epoch, oldest - 1): [*range(oldest, marker + 1)],
        }
        wrong = [(epoch, oldest - 2), (epoch, 0), (epoch, top + 1), (epoch, top + 1_000_000)]
        wrong += [("another", top), ("another", 0), ("another", oldest)]
        places = [*continued, *(Place(*place) for place in wrong)]
        people = Crowd(
            SdkMember(cluster.ws, room, f"{place}", protobuf=protobuf, state=state_at(cluster, room, place))
            for place in places
            for protobuf in (False, True)
        )
        try:
            await people.come()
            await one.run(each=1)
            await people.reach(one.places)
        finally:
            await people.go()
    found = [came(log) for log in people.logs]
    expected = [(place in continued, continued.get(place, [marker])) for place in places]
    figures(f"{len(places)} positions, each as JSON and protobuf: {found[::2]}")
    assert found[::2] == expected
    assert found[1::2] == expected


@pytest.mark.parametrize("missed", [WINDOW, WINDOW + 1], ids=["inside", "outside"])
async def test_who_was_away_for_the_window_gets_all_and_past_it_is_told(
    cluster: Cluster, figures: Figures, kinds: Sequence[Kind], missed: int
) -> None:
    room, whole = f"small:{cluster.prefix}-{missed}", missed <= WINDOW
    async with (
        crowd(cluster.ws, [room], len(kinds), kinds=kinds) as people,
        press(cluster.port, [room], 1, name=f"{cluster.prefix} {missed}") as one,
    ):
        await one.run(each=3)
        await people.reach(one.places)
        await people.go()
        await one.run(each=missed)
        await people.come()
        await one.run(each=1)
        await people.reach(one.places)
    verdict = check(one.log, people.logs)
    figures(f"away for {missed} publications: {verdict.figures}")
    verdict.prove()
    expected = (whole, [*range(4 if whole else 4 + missed, 5 + missed)])
    assert {str(came(log)) for log in people.logs} == {str(expected)}


async def test_a_position_and_a_token_of_another_user_open_nothing(
    cluster: Cluster, figures: Figures
) -> None:
    room, tokens = f"own:{cluster.prefix}", Tokens(SECRET)
    shown = {user: cluster.server.secret(tokens.issue(user, ttl=600)) for user in ("ada", "bob")}
    ticket = cluster.server.secret(tokens.issue("ada", ttl=600, claims={"channel": room}))
    ada = SdkMember(cluster.ws, room, "ada", token=shown["ada"], room_token=ticket)
    async with press(cluster.port, [room], 1, name=cluster.prefix) as one:
        try:
            await ada.come()
            await one.run(each=2)
            place = one.places[room]
            thieves = [
                SdkMember(
                    cluster.ws,
                    room,
                    protobuf=protobuf,
                    token=token,
                    room_token=room_token,
                    state=state_at(cluster, room, Place(place.epoch, 0)),
                )
                for token, room_token in [(shown["bob"], ticket), ("", ticket), (shown["bob"], "")]
                for protobuf in (False, True)
            ]
            await asyncio.gather(*(thief.knock() for thief in thieves))
            await eventually(lambda: all(thief.refusals for thief in thieves))
            await ada.go()
            await one.run(each=3)
            await ada.come()
            await Crowd([ada]).reach(one.places)
        finally:
            await asyncio.gather(*(member.go() for member in (ada, *thieves)))
    verdict = check(one.log, [ada.log])
    figures(f"{len(thieves)} thieves refused; {verdict.figures}")
    verdict.prove()
    assert verdict.recovered == 1
    assert {code for thief in thieves for code in thief.refusals} == {PERMISSION_DENIED}
    assert [thief.log.events for thief in thieves] == [[]] * len(thieves)
