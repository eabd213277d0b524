"""Presence counts users; their tabs are their own affair."""

from hubbub.core.presence import Presence


def test_a_user_comes_with_the_first_tab_and_goes_with_the_last() -> None:
    presence: Presence[str] = Presence()
    assert presence.joined("ada", "tab 1", {"color": "red"})
    assert not presence.joined("ada", "tab 2", {"color": "blue"})
    assert not presence.left("ada", "tab 1")
    assert len(presence) == 1
    assert presence.left("ada", "tab 2")
    assert (len(presence), presence.users()) == (0, [])


def test_a_user_is_shown_with_the_info_of_the_first_tab() -> None:
    presence: Presence[str] = Presence()
    presence.joined("ada", "tab 1", {"color": "red"})
    presence.joined("ada", "tab 2", {"color": "blue"})
    presence.left("ada", "tab 1")
    (ada,) = presence.users()
    assert (ada.user, ada.info, list(ada.connections)) == ("ada", {"color": "red"}, ["tab 2"])


def test_the_same_tab_counts_once() -> None:
    presence: Presence[str] = Presence()
    assert presence.joined("ada", "tab", {})
    assert not presence.joined("ada", "tab", {})
    assert presence.left("ada", "tab")


def test_whoever_is_not_there_cannot_leave() -> None:
    presence: Presence[str] = Presence()
    assert not presence.left("ada", "tab")
    presence.joined("ada", "tab", {})
    assert not presence.left("ada", "another tab")
    assert not presence.left("bob", "tab")
    assert len(presence) == 1


def test_users_are_listed_in_the_order_they_came() -> None:
    presence: Presence[str] = Presence()
    for user in ("zoe", "ada", "mia"):
        presence.joined(user, f"tab of {user}", {})
    presence.left("zoe", "tab of zoe")
    presence.joined("zoe", "tab of zoe", {})
    assert [one.user for one in presence.users()] == ["ada", "mia", "zoe"]
