"""Who is asking: secrets, bearers and user ids."""

import pytest

from heliograph import auth

CURRENT = "A" * 64
PREVIOUS = "B" * 64


@pytest.mark.parametrize(
    "presented, is_ours",
    [
        (CURRENT, True),
        (PREVIOUS, True),
        (CURRENT[:-1], False),
        (CURRENT.lower(), False),
        (f" {CURRENT}", False),
        ("", False),
        ("é", False),
        ("\ud800", False),
    ],
)
def test_a_secret_is_one_of_ours_or_not(presented: str, is_ours: bool) -> None:
    """Only the exact text of a live secret is taken for it."""
    assert is_ours == auth.is_secret(presented, [CURRENT, PREVIOUS])


def test_nobody_knows_the_secret_that_is_not_there() -> None:
    """Where there are no secrets, nothing is one."""
    assert not auth.is_secret("", [])


@pytest.mark.parametrize(
    "header, credential",
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_a_bearers_credential_is_read(header: str | None, credential: str | None) -> None:
    """An Authorization header holds a credential if its scheme is Bearer, in any case."""
    assert credential == auth.bearer(header)


@pytest.mark.parametrize(
    "user, problem",
    [
        ("alice", None),
        ("x" * 254, None),
        ("😀" * 254, None),
        ("a/b c\u2028", None),
        ("", "must not be empty"),
        ("x" * 255, "is too long, max length is 254"),
        ("a\n", "must be Unicode text without control characters"),
        ("a\x00", "must be Unicode text without control characters"),
        ("\ud800", "must be Unicode text without control characters"),
    ],
    ids=ascii,
)
def test_a_user_id_is_text_of_1_to_254_characters(user: str, problem: str | None) -> None:
    """A user id is what the customer calls a person; the answer says what is wrong with it."""
    assert problem == auth.user_problem(user)
