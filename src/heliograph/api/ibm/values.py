"""
Readers of the values in a body: each makes of JSON what we work with, or says what is wrong.

Pure. IBM's SDKs do not agree how a value is written (contract §5.3-§5.5), so some have several
spellings here. ``null`` counts as absent, and what nobody reads is ignored.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from heliograph.api.bodies import is_shallow
from heliograph.api.ibm.problems import Code, invalid, problem
from heliograph.api.problems import Problem

Reader = Callable[[str, Any], Any]
"""Of a value, found at a parameter; raises a ``Problem``, 400, if it is not as it should be."""

_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no name may hold: control characters, and halves of characters."""

_DIGITS: Final = re.compile(r"[0-9]{1,10}")


def text(parameter: str, value: Any) -> str:
    """Unicode text, maybe empty."""
    if not isinstance(value, str):
        raise invalid(parameter, "it must be text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise invalid(parameter, "it must be Unicode text") from None
    return value


def filled_text(parameter: str, value: Any) -> str:
    """Text that is not empty."""
    read = text(parameter, value)
    if not read:
        raise invalid(parameter, "it must not be empty")
    return read


def name(longest: int) -> Reader:
    """Text of 1 to ``longest`` characters, none of which is a control character."""

    def read(parameter: str, value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= longest or _UNFIT.search(value):
            rule = f"it must be 1 to {longest} characters without control characters"
            raise invalid(parameter, rule)
        return value

    return read


def integer(least: int, most: int, *, digits: bool = False) -> Reader:
    """
    A whole number within bounds; 1.0 is one, as Node's SDK has it, and True is none.

    Args:
        least: The least that is taken.
        most: The most.
        digits: Whether digits in a text are one, too.
    """

    def read(parameter: str, value: Any) -> int:
        if digits and isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        is_whole = isinstance(value, float) and value.is_integer()
        if not is_whole and (not isinstance(value, int) or isinstance(value, bool)):
            raise invalid(parameter, "it must be an integer")
        if not least <= value <= most:
            raise invalid(parameter, f"it must be {least} to {most}")
        return int(value)

    return read


def boolean(parameter: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise invalid(parameter, "it must be true or false")
    return value


def boolean_or_word(parameter: str, value: Any) -> bool:
    """True or false; or the word, as Swift's server SDK writes it."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return boolean(parameter, value)


def one_of(*words: str, also: Mapping[str, str] | None = None) -> Reader:
    """
    One of a few words, written in any case; what is read is the word as it stands here.

    Args:
        words: Each in the case that it is to be had in.
        also: Other spellings, in capitals, with the word that each stands for.
    """
    known = {word.upper(): word for word in words} | dict(also or {})

    def read(parameter: str, value: Any) -> str:
        word = known.get(value.upper()) if isinstance(value, str) else None
        if word is None:
            raise invalid(parameter, f"it must be one of {', '.join(words)}")
        return word

    return read


def list_of(read_one: Reader) -> Reader:
    """A list of values that one reader reads; what is read is a tuple."""

    def read(parameter: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise invalid(parameter, "it must be a list")
        return tuple(read_one(f"{parameter}[{index}]", each) for index, each in enumerate(value))

    return read


def members(readers: Mapping[str, Reader], *, needed: tuple[str, ...] = ()) -> Reader:
    """
    An object: those of its members that are there, null is not, and that there is a reader for.

    Args:
        readers: By the name of the member.
        needed: Which must be there.
    """

    def read(parameter: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid(parameter, "it must be an object")
        for each in needed:
            if value.get(each) is None:
                raise invalid(f"{parameter}.{each}", "it is required")
        return {
            each: read_one(f"{parameter}.{each}", value[each])
            for each, read_one in readers.items()
            if value.get(each) is not None
        }

    return read


def payload(parameter: str, value: Any) -> dict[str, Any]:
    """
    An object of the caller's, or a text with the JSON of one; an empty text is an empty object.

    Whatever is wrong with it is FPWSE0013E (contract §2.8).
    """
    if isinstance(value, str):
        value = _decoded(parameter, value) if value else {}
    if not isinstance(value, dict):
        raise _not_a_payload(parameter, "it must be an object, or a text with the JSON of one")
    if not is_shallow(value):
        raise _not_a_payload(parameter, "it is nested too deeply")
    try:
        msgspec.json.encode(value)
    except (msgspec.MsgspecError, ValueError, OverflowError):
        raise _not_a_payload(parameter, "it cannot be written as JSON") from None
    return value


def _decoded(parameter: str, value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise _not_a_payload(parameter, "its text is not JSON") from None


def _not_a_payload(parameter: str, rule: str) -> Problem:
    sentence = f"The JSON payload is not valid. Check the '{parameter}' parameter value: {rule}."
    return problem(Code.INVALID_PAYLOAD, sentence)
