"""Users."""

import dataclasses

import pytest

from hubbub.core.users import User


def test_a_user_is_told_apart_by_what_it_is_and_cannot_be_changed() -> None:
    user = User("ada", {"role": "admin"}, 1.5)
    assert user == User("ada", {"role": "admin"}, 1.5)
    assert User("ada").claims == {}
    assert User("ada").expires_at is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        user.id = "bob"  # type: ignore[misc]
