"""The checks of a publish body, in the words of the library that Beams uses."""

from typing import Any

import pytest

from heliograph.api.beams.checks import (
    Check,
    a,
    an_integer,
    check_members,
    one_of,
    read_names,
    unprocessable,
)
from heliograph.api.problems import Problem


def passes(check: Check, value: object) -> bool:
    """Whether a check has nothing to say of a value."""
    try:
        check("field", value)
    except Problem:
        return False
    return True


def refused(check: Check, value: object) -> tuple[int, str, str]:
    with pytest.raises(Problem) as caught:
        check("field", value)
    return caught.value.status, caught.value.error, caught.value.description


def test_an_unprocessable_body_names_the_field_in_backticks() -> None:
    """A fault is the field in backticks, a colon, and a sentence, with status 422."""
    fault = unprocessable("users.0", "is strange")

    assert (422, "Unprocessable Entity", "`users.0`: is strange") == (
        fault.status,
        fault.error,
        fault.description,
    )


@pytest.mark.parametrize(
    "kind,value,names",
    [
        (dict, [], "Expected: object, given: array"),
        (dict, None, "Expected: object, given: null"),
        (list, {}, "Expected: array, given: object"),
        (str, 1, "Expected: string, given: integer"),
        (str, 1.5, "Expected: string, given: number"),
        (int, True, "Expected: integer, given: boolean"),
        (int, 60.5, "Expected: integer, given: number"),
        (str, 60.0, "Expected: string, given: integer"),
        (bool, "true", "Expected: boolean, given: string"),
    ],
)
def test_a_wrong_type_is_named_as_json_names_it(kind: type, value: object, names: str) -> None:
    """What was expected and what came are called as in JSON, and a boolean is no integer."""
    assert (422, "Unprocessable Entity", f"`field`: Invalid type. {names}") == refused(
        a(kind), value
    )


@pytest.mark.parametrize("value", [0, 7, 10, 0.0, 7.0])
def test_an_integer_may_be_at_its_bounds(value: float) -> None:
    """The least and the most belong to the range, and 7.0 is the integer 7."""
    assert passes(an_integer(least=0, most=10), value)


@pytest.mark.parametrize(
    "value,sentence",
    [
        (-1, "Must be greater than or equal to 0"),
        (11, "Must be less than or equal to 10"),
        (10**30, "Must be less than or equal to 10"),
    ],
)
def test_an_integer_out_of_bounds_is_told_the_bound(value: int, sentence: str) -> None:
    """The bound that was broken is named."""
    check = an_integer(least=0, most=10)

    assert (422, "Unprocessable Entity", f"`field`: {sentence}") == refused(check, value)


@pytest.mark.parametrize("value", [5, 10, 5.0])
def test_one_of_the_values_passes(value: object) -> None:
    """Any of the values that are listed will do."""
    assert passes(one_of(5, 10), value)


@pytest.mark.parametrize("value", [1, True, None, "5", 5.5, [5], {}])
def test_any_other_value_is_told_the_list(value: object) -> None:
    """The values are listed as JSON has them: texts in quotation marks, numbers without."""
    assert (
        422,
        "Unprocessable Entity",
        "`field`: field must be one of the following: 5, 10",
    ) == refused(one_of(5, 10), value)
    assert (
        422,
        "Unprocessable Entity",
        '`field`: field must be one of the following: "a", "b"',
    ) == refused(one_of("a", "b"), value)


def test_a_member_is_named_below_its_object() -> None:
    """A fault within an object is named by both, with a dot between."""
    with pytest.raises(Problem) as caught:
        check_members("web", {"time_to_live": "1"}, {"time_to_live": a(int)})

    assert "`web.time_to_live`: Invalid type. Expected: integer, given: string" == (
        caught.value.description
    )


def test_members_that_have_no_check_are_none_of_our_business() -> None:
    """What is unknown is tolerated, and what is absent is not missed."""
    check_members("web", {"colour": 1}, {"time_to_live": a(int)})


@pytest.mark.parametrize(
    "body,description",
    [
        ({}, "`users`: users is required"),
        ({"users": None}, "`users`: Invalid type. Expected: array, given: null"),
        ({"users": "a"}, "`users`: Invalid type. Expected: array, given: string"),
        ({"users": []}, "`users`: Array must have at least 1 items"),
        ({"users": ["a", "b", "c", "d"]}, "`users`: Array must have at most 3 items"),
        ({"users": ["a", 1]}, "`users.1`: Invalid type. Expected: string, given: integer"),
        ({"users": ["a", "a"]}, "`users`: array items must be unique"),
        (
            {"users": ["a", "a", "b", 1]},
            "`users.3`: Invalid type. Expected: string, given: integer",
        ),
        ({"users": ["a", "a", "b", "c"]}, "`users`: Array must have at most 3 items"),
    ],
)
def test_names_that_cannot_be_addressed(body: dict[str, Any], description: str) -> None:
    """
    Names are texts, 1 to the most, and each is there once (contract §2.4).

    Of several faults the first is told in that order, which is that of gojsonschema.
    """
    with pytest.raises(Problem) as caught:
        read_names(body, "users", most=3, check_name=a(str))

    assert description == caught.value.description


def test_names_keep_their_order() -> None:
    """The names come back as they were given, the most of them included."""
    assert ("c", "a", "b") == read_names(
        {"users": ["c", "a", "b"]}, "users", most=3, check_name=a(str)
    )
