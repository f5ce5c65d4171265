"""
The checks of a publish body, in the words that Beams uses.

Beams describes a body's faults as the Go library gojsonschema does (seen in recorded
answers): "`field`: sentence", an index following its list after a dot. Tools compare
these texts, so we write the same ones, and look in the same order: at a list's items,
then at how many they are, then at whether each is there once; at a text's length, then
at its pattern. As there, 60.0 is an integer (JSON Schema, draft 6).
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from heliograph.api.problems import Problem

Check = Callable[[str, Any], None]
"""Raises a Problem if a value, found at a field, is not as it should be."""

_TYPE_NAMES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def unprocessable(field: str, sentence: str) -> Problem:
    """The answer to a body that is JSON but not what was asked for."""
    return Problem(422, "Unprocessable Entity", f"`{field}`: {sentence}")


def wrong_type(field: str, kind: type, value: Any) -> Problem:
    """The answer to a value of another JSON type than the one that is expected."""
    expected, given = _TYPE_NAMES[kind], _TYPE_NAMES[_type_of(value)]
    return unprocessable(field, f"Invalid type. Expected: {expected}, given: {given}")


def a(kind: type) -> Check:
    """A value of one JSON type; a boolean is no integer."""

    def check(field: str, value: Any) -> None:
        if _type_of(value) is not kind:
            raise wrong_type(field, kind, value)

    return check


def an_integer(*, least: int, most: int) -> Check:
    """A whole number within bounds."""
    is_integer = a(int)

    def check(field: str, value: Any) -> None:
        is_integer(field, value)
        if value < least:
            raise unprocessable(field, f"Must be greater than or equal to {least}")
        if value > most:
            raise unprocessable(field, f"Must be less than or equal to {most}")

    return check


def one_of(*values: str | int) -> Check:
    """One of a few values; True is not 1, and "5" is not 5."""
    allowed = ", ".join(msgspec.json.encode(each).decode() for each in values)

    def check(field: str, value: Any) -> None:
        if not any(_type_of(value) is type(each) and value == each for each in values):
            raise unprocessable(field, f"{field} must be one of the following: {allowed}")

    return check


def check_members(field: str, value: dict[str, Any], checks: dict[str, Check]) -> None:
    """Check the members of an object that are there; others are none of our business."""
    for name, check in checks.items():
        if name in value:
            check(f"{field}.{name}", value[name])


def read_names(
    body: dict[str, Any], field: str, *, most: int, check_name: Check
) -> tuple[str, ...]:
    """
    The names that a publish addresses: 1 to ``most``, each once.

    Raises:
        Problem: 422.
    """
    if field not in body:
        raise unprocessable(field, f"{field} is required")
    names = body[field]
    a(list)(field, names)
    for index, name in enumerate(names):
        a(str)(f"{field}.{index}", name)
        check_name(f"{field}.{index}", name)
    if not names:
        raise unprocessable(field, "Array must have at least 1 items")
    if len(names) > most:
        raise unprocessable(field, f"Array must have at most {most} items")
    if len(set(names)) < len(names):
        raise unprocessable(field, "array items must be unique")
    return tuple(names)


def _type_of(value: Any) -> type:
    """A value's JSON type, as the Python type that has its name."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int if is_whole else type(value)
