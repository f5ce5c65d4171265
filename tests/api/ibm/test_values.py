"""Readers of the values in a body: each spelling that IBM's SDKs have, and nothing else."""

from typing import Any

import pytest

from heliograph.api.ibm import values
from heliograph.api.ibm.values import Reader
from heliograph.api.problems import Problem

BOUNDED = values.integer(0, 10)
WITH_DIGITS = values.integer(0, 10, digits=True)
COLOUR = values.one_of("RED", "MAGENTA", also={"MAGNETA": "MAGENTA"})
DEEP: Any = []
for _ in range(40):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "reader,given,read",
    [
        (values.text, "", ""),
        (values.text, "line\nbreak", "line\nbreak"),
        (values.filled_text, " ", " "),
        (values.name(3), "é b", "é b"),
        (BOUNDED, 0, 0),
        (BOUNDED, 10, 10),
        pytest.param(BOUNDED, 1.0, 1, id="as Node's SDK may send it"),
        pytest.param(WITH_DIGITS, "07", 7, id="digits"),
        (WITH_DIGITS, 7, 7),
        (values.boolean, False, False),
        (values.boolean_or_word, True, True),
        pytest.param(values.boolean_or_word, "true", True, id="as Swift's SDK writes it"),
        (values.boolean_or_word, "False", False),
        (COLOUR, "red", "RED"),
        pytest.param(COLOUR, "Magneta", "MAGENTA", id="as Swift's SDK spells it"),
        (values.list_of(BOUNDED), [1, 1.0], (1, 1)),
        (values.members({"a": BOUNDED, "b": BOUNDED}), {"a": 1, "b": None, "c": {}}, {"a": 1}),
        (values.payload, {"a": None}, {"a": None}),
        pytest.param(values.payload, '{"a": [1]}', {"a": [1]}, id="JSON in a text"),
        (values.payload, "", {}),
    ],
)
def test_a_value_is_read_in_every_spelling(reader: Reader, given: Any, read: Any) -> None:
    """Contract §5.3-§5.5: what one SDK writes so and another otherwise is the same afterwards."""
    found = reader("p", given)

    assert (type(read), read) == (type(found), found)


@pytest.mark.parametrize(
    "reader,given,rule",
    [
        (values.text, 1, "it must be text"),
        (values.text, "\ud800", "it must be Unicode text"),
        (values.filled_text, "", "it must not be empty"),
        (values.name(3), "", "it must be 1 to 3 characters without control characters"),
        (values.name(3), "abcd", "it must be 1 to 3 characters without control characters"),
        (values.name(3), "a\0", "it must be 1 to 3 characters without control characters"),
        (values.name(3), "\x85", "it must be 1 to 3 characters without control characters"),
        (values.name(3), "\udc00", "it must be 1 to 3 characters without control characters"),
        (values.name(3), None, "it must be 1 to 3 characters without control characters"),
        (BOUNDED, -1, "it must be 0 to 10"),
        (BOUNDED, 11, "it must be 0 to 10"),
        (BOUNDED, 1e300, "it must be 0 to 10"),
        (BOUNDED, 1.5, "it must be an integer"),
        (BOUNDED, True, "it must be an integer"),
        (BOUNDED, "1", "it must be an integer"),
        (WITH_DIGITS, "", "it must be an integer"),
        (WITH_DIGITS, "-1", "it must be an integer"),
        (WITH_DIGITS, "\N{ARABIC-INDIC DIGIT ONE}", "it must be an integer"),
        (WITH_DIGITS, "1" * 5000, "it must be an integer"),
        (values.boolean, "true", "it must be true or false"),
        (values.boolean, 1, "it must be true or false"),
        (values.boolean_or_word, "yes", "it must be true or false"),
        (COLOUR, "GREEN", "it must be one of RED, MAGENTA"),
        (COLOUR, 1, "it must be one of RED, MAGENTA"),
        (values.list_of(BOUNDED), "1", "it must be a list"),
        (values.members({}), [], "it must be an object"),
    ],
)
def test_another_value_is_a_mistake(reader: Reader, given: Any, rule: str) -> None:
    """Contract §2.8: FPWSE0005E, 400, with the parameter and what it must be."""
    with pytest.raises(Problem) as caught:
        reader("p", given)

    sentence = f"Invalid value was provided. Check the 'p' parameter value: {rule}."
    assert (400, "FPWSE0005E", sentence) == (
        caught.value.status,
        caught.value.error,
        caught.value.description,
    )


@pytest.mark.parametrize(
    "given,rule",
    [
        ("{", "its text is not JSON"),
        ("[" * 100_000, "its text is not JSON"),
        ('{"a": 1e999}', "its text is not JSON"),
        ("1", "it must be an object, or a text with the JSON of one"),
        ([], "it must be an object, or a text with the JSON of one"),
        (7, "it must be an object, or a text with the JSON of one"),
        ({"a": DEEP}, "it is nested too deeply"),
        (f'{{"a":{"[" * 40}{"]" * 40}}}', "it is nested too deeply"),
        ({"a": "\ud800"}, "it cannot be written as JSON"),
        ({"a": 10**5000}, "it cannot be written as JSON"),
    ],
)
def test_what_is_no_payload_has_a_code_of_its_own(given: Any, rule: str) -> None:
    """Contract §2.8: FPWSE0013E, 400, for a ``payload`` that is not an object."""
    with pytest.raises(Problem) as caught:
        values.payload("p", given)

    sentence = f"The JSON payload is not valid. Check the 'p' parameter value: {rule}."
    assert (400, "FPWSE0013E", sentence) == (
        caught.value.status,
        caught.value.error,
        caught.value.description,
    )


def test_a_mistake_is_told_where_it_is() -> None:
    """The parameter is the way to the value: members after a dot, items by their index."""
    reader = values.members({"a": values.members({"b": values.list_of(values.text)})})

    with pytest.raises(Problem, match=r"'p\.a\.b\[1\]'"):
        reader("p", {"a": {"b": ["x", 1]}})


def test_a_member_that_is_needed_is_missed() -> None:
    """A member that must be there and is absent, or null, is told by its name."""
    reader = values.members({"a": values.text}, needed=("a",))

    for given in ({}, {"a": None}):
        with pytest.raises(Problem, match=r"'p\.a' parameter value: it is required"):
            reader("p", given)
