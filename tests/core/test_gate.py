"""The gate: who gets a place, and how much may be said from it."""

import pytest

from hubbub.core.errors import ConfigurationError, LimitReached, Overloaded
from hubbub.core.gate import FORGIVEN, Gate
from hubbub.core.protection import Protection
from hubbub.core.rates import Rate


def gate(**protection: object) -> Gate:
    return Gate(Protection(**protection), subscriptions=3)  # type: ignore[arg-type]


def test_a_process_has_so_many_places_and_one_that_is_left_is_free_again() -> None:
    one = gate(connections=2)
    first = one.enter(None)
    one.enter(None)
    with pytest.raises(Overloaded):
        one.enter(None)
    first.leave()
    first.leave()
    one.enter(None)
    with pytest.raises(Overloaded):
        one.enter(None)


def test_open_files_bound_the_places_but_not_of_a_gate_without_a_cap() -> None:
    one = gate(connections=2)
    one.bound(1)
    one.enter(None)
    with pytest.raises(Overloaded):
        one.enter(None)
    one.bound(None)
    one.enter(None)
    open_to_all = gate(connections=None)
    open_to_all.bound(1)
    for _ in range(3):
        open_to_all.enter(None)


def test_an_address_has_so_many_places_and_others_have_their_own() -> None:
    one = gate(connections_per_address=2)
    places = [one.enter("10.0.0.1") for _ in range(2)]
    with pytest.raises(Overloaded, match="address"):
        one.enter("10.0.0.1")
    one.enter("10.0.0.2")
    for _ in range(5):
        one.enter(None)
    places[0].leave()
    one.enter("10.0.0.1")


def test_a_user_has_so_many_places_from_the_moment_that_it_is_known() -> None:
    one = gate(connections_per_user=2)
    first = one.enter(None, "ada")
    unknown = [one.enter(None) for _ in range(3)]
    unknown[0].recognise("ada")
    with pytest.raises(LimitReached):
        unknown[1].recognise("ada")
    with pytest.raises(LimitReached):
        one.enter(None, "ada")
    unknown[1].recognise("bob")
    first.leave()
    unknown[2].recognise("ada")


def test_who_was_refused_takes_no_place() -> None:
    one = gate(connections=1, connections_per_user=1, connections_per_address=1)
    place = one.enter("10.0.0.1", "ada")
    for _ in range(3):
        with pytest.raises(Overloaded):
            one.enter("10.0.0.1", "ada")
    place.leave()
    one.enter("10.0.0.1", "ada").leave()
    one.enter("10.0.0.1", "ada")


def test_a_place_left_before_its_user_is_known_stays_free() -> None:
    one = gate(connections_per_user=1)
    place = one.enter(None)
    place.leave()
    place.recognise("ada")
    one.enter(None, "ada")


def test_handshakes_of_an_address_have_a_rate() -> None:
    one = gate(handshakes=Rate(10, 50))
    assert [one.knock("10.0.0.1", 1.0) for _ in range(51)] == [True] * 50 + [False]
    assert one.knock("10.0.0.2", 1.0)
    assert one.knock("10.0.0.1", 1.1)
    assert all(one.knock(None, 1.0) for _ in range(100))


def test_messages_of_a_connection_have_a_rate() -> None:
    place = gate(messages=Rate(20, 40)).enter(None)
    assert [place.message(5.0) for _ in range(41)] == [True] * 40 + [False]
    assert place.message(5.05)
    assert not place.message(5.05)


def test_who_comes_again_from_an_address_goes_on_with_the_bucket_that_was_left() -> None:
    one = gate(messages=Rate(20, 40))
    first = one.enter("10.0.0.1")
    assert all(first.message(5.0) for _ in range(40))
    first.leave()
    first.leave()
    again, neighbour, other = one.enter("10.0.0.1"), one.enter("10.0.0.1"), one.enter("10.0.0.2")
    assert [again.message(5.25) for _ in range(6)] == [True] * 5 + [False]
    assert all(neighbour.message(5.25) for _ in range(40)), "it was left once"
    assert all(other.message(5.25) for _ in range(40))
    again.leave()
    third = one.enter("10.0.0.1")
    assert [third.message(5.25) for _ in range(2)] == [True, False], "it may be somebody else"
    assert not neighbour.message(5.25)


def test_who_says_nothing_does_not_take_what_an_earlier_one_left() -> None:
    one = gate(messages=Rate(20, 40))
    first = one.enter("10.0.0.1")
    assert all(first.message(5.0) for _ in range(40))
    first.leave()
    one.enter("10.0.0.1").leave()
    again = one.enter("10.0.0.1")
    assert [again.message(5.0) for _ in range(2)] == [True, False]


def test_clients_without_an_address_begin_with_a_full_bucket() -> None:
    one = gate(messages=Rate(20, 40))
    for _ in range(3):
        place = one.enter(None)
        assert [place.message(5.0) for _ in range(41)] == [True] * 40 + [False]
        place.leave()


def test_connections_of_a_user_share_a_rate_and_others_do_not_pay_for_it() -> None:
    one = gate(messages=None, user_messages=Rate(50, 3))
    first, second, other, nobody = (one.enter(None, user) for user in ("ada", "ada", "bob", None))
    assert [first.message(1.0), second.message(1.0), first.message(1.0)] == [True] * 3
    assert not second.message(1.0)
    assert other.message(1.0)
    assert all(nobody.message(1.0) for _ in range(10))


def test_commands_about_the_connection_have_room_for_all_its_rooms() -> None:
    place = gate(messages=Rate(20, 2)).enter(None)
    assert [place.command(1.0) for _ in range(6)] == [True] * 5 + [False]
    assert [place.message(1.0) for _ in range(3)] == [True, True, False]


def test_strikes_are_forgotten_after_a_while_without_one() -> None:
    place = gate(strikes=3).enter(None)
    assert [place.strike(1.0 + n) for n in range(4)] == [True, True, True, False]
    assert place.strike(4.0 + FORGIVEN + 0.1)


def test_without_a_rate_everything_passes() -> None:
    place = gate(messages=None, user_messages=None).enter(None, "ada")
    assert all(place.message(1.0) and place.command(1.0) for _ in range(1_000))


def test_so_many_may_come_of_which_it_is_not_known_who_they_are() -> None:
    one = gate(unauthenticated=2)
    one.newcomers = 2
    assert not one.has_room_for_newcomers
    one.newcomers = 1
    assert one.has_room_for_newcomers
    assert gate(unauthenticated=None).has_room_for_newcomers


@pytest.mark.parametrize(
    "name", ["strikes", "connections", "connections_per_user", "connections_per_address", "idle_timeout"]
)
def test_a_cap_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Protection(**{name: 0})
