"""The tree of exceptions: who is at fault, and what the caller can read from it."""

import inspect

import pytest

from heliograph import errors
from heliograph.errors import (
    Ambiguous,
    ConfigurationError,
    EgressDenied,
    HeliographError,
    InvalidInput,
    NotProcessed,
    TooManyDevices,
    TransportError,
    UserTaken,
)


def every_error() -> list[type[HeliographError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, HeliographError)
    ]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Each exception is drawn in the module's docstring, under its parent."""
    drawn = inspect.getdoc(errors) or ""
    depths = {
        kind: line.index(kind.__name__)
        for kind in every_error()
        for line in drawn.splitlines()
        if kind.__name__ in line.split()
    }

    indents = {kind: (depths[kind] - depths[HeliographError]) // 4 for kind in every_error()}

    assert {kind: len(kind.__mro__) - len(HeliographError.__mro__) for kind in every_error()} == (
        indents
    )


@pytest.mark.parametrize("kind", [NotProcessed, Ambiguous, EgressDenied])
def test_every_failure_of_the_network_can_be_caught_at_once(kind: type[TransportError]) -> None:
    """Whatever keeps a reply from arriving is a transport error."""
    with pytest.raises(TransportError, match="why"):
        raise kind("why")


def test_invalid_input_names_the_field() -> None:
    """Invalid input carries the field in the caller's words, and what is wrong with it."""
    problem = InvalidInput("name", "must not be empty")

    assert ("name", "must not be empty", "name: must not be empty") == (
        problem.field,
        problem.problem,
        str(problem),
    )


def test_too_many_devices_carries_the_limit() -> None:
    """A dialect can quote the limit that a person has reached."""
    problem = TooManyDevices(100)

    assert (100, True) == (problem.limit, "100" in str(problem))


@pytest.mark.parametrize("kind", [ConfigurationError, UserTaken])
def test_what_we_raise_is_ours(kind: type[HeliographError]) -> None:
    """One root tells our own exceptions from those of libraries."""
    with pytest.raises(HeliographError):
        raise kind("why")
