"""
The checks of a publish body, in the words that Beams uses.

Beams describes a body's faults as the Go library gojsonschema does (seen in recorded
answers): "`field`: sentence", an index following its list after a dot. Tools compare
these texts, so we write the same ones.
"""

from collections.abc import Callable, Hashable
from typing import Any, Final

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


def a(kind: type) -> Check:
    """A value of one JSON type; a boolean is no integer."""

    def check(field: str, value: Any) -> None:
        if type(value) is not kind:
            raise unprocessable(
                field,
                f"Invalid type. Expected: {_TYPE_NAMES[kind]}, given: {_TYPE_NAMES[type(value)]}",
            )

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


def one_of(*values: Hashable) -> Check:
    """One of a few values; 5.0 is not 5, and True is not 1."""

    def check(field: str, value: Any) -> None:
        if not any(type(value) is type(each) and value == each for each in values):
            allowed = ", ".join(f'"{each}"' for each in values)
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
    if not names:
        raise unprocessable(field, "Array must have at least 1 items")
    if len(names) > most:
        raise unprocessable(field, f"Array must have at most {most} items")
    for index, name in enumerate(names):
        a(str)(f"{field}.{index}", name)
        check_name(f"{field}.{index}", name)
    if len(set(names)) < len(names):
        raise unprocessable(field, "array items must be unique")
    return tuple(names)
