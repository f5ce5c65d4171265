"""
IBM's error codes, each with the status it is answered with (contract §2.8). Pure.

A problem's title is its code here: an error's body is ``{"message", "code"}``, always JSON.
Where the source has no status, it is the one that HTTP has for it.
"""

from enum import StrEnum
from typing import Final

from heliograph.api.problems import Problem


class Code(StrEnum):
    """Every code that IBM ever published."""

    NOT_FOUND = "FPWSE0001E"
    """What was asked for is not there."""
    EXISTS = "FPWSE0002E"
    """What was to be made is there already."""
    NOT_CONFIGURED = "FPWSE0003E"
    """Something has to be set up first."""
    INVALID_JSON = "FPWSE0004E"
    """The body is not what a body must be."""
    INVALID_VALUE = "FPWSE0005E"
    """A property is missing, or is not what it must be."""
    UNKNOWN_PROPERTY = "FPWSE0006E"
    """Never answered here: unknown properties are ignored."""
    UNKNOWN_QUERY = "FPWSE0007E"
    """A query parameter that there is not."""
    MISSING_QUERY = "FPWSE0008E"
    """A query parameter is needed."""
    NO_DEVICES = "FPWSE0009E"
    """There is nobody to send to."""
    INTERNAL = "FPWSE0010E"
    """A fault of ours."""
    SUBSCRIPTION_EXISTS = "FPWSE0011E"
    SUBSCRIPTION_NOT_FOUND = "FPWSE0012E"
    INVALID_PAYLOAD = "FPWSE0013E"
    """A ``payload`` among the settings of a message is not an object."""
    OVERLOADED = "FPWSE0025E"
    """Not now: too much is asked at once."""
    DISABLED = "FPWSE1007E"
    """Never answered here: nothing is switched off for bills."""
    INVALID_OFFSET = "FPWSE1079E"
    INVALID_SIZE = "FPWSE1080E"
    UNAUTHORIZED = "FPWSE0401E"
    """Ours: IBM published none for a missing or wrong credential, and SDKs look at the status."""
    UNSUPPORTED = "FPWSE0415E"
    """Ours, likewise: a media type, or a method, that is not for this path."""


STATUS: Final = {
    Code.NOT_FOUND: 404,
    Code.EXISTS: 409,
    Code.NOT_CONFIGURED: 404,
    Code.INVALID_JSON: 400,
    Code.INVALID_VALUE: 400,
    Code.UNKNOWN_PROPERTY: 400,
    Code.UNKNOWN_QUERY: 400,
    Code.MISSING_QUERY: 400,
    Code.NO_DEVICES: 404,
    Code.INTERNAL: 500,
    Code.SUBSCRIPTION_EXISTS: 409,
    Code.SUBSCRIPTION_NOT_FOUND: 404,
    Code.INVALID_PAYLOAD: 400,
    Code.OVERLOADED: 503,
    Code.DISABLED: 403,
    Code.INVALID_OFFSET: 400,
    Code.INVALID_SIZE: 400,
    Code.UNAUTHORIZED: 401,
    Code.UNSUPPORTED: 415,
}


def problem(code: Code, message: str, *, retry_after: int | None = None) -> Problem:
    """A problem with a code, as its status and its sentence."""
    return Problem(STATUS[code], code, message, retry_after=retry_after)


def not_found(what: str, parameter: str) -> Problem:
    """Something that a request names is not there, in the words of IBM's own answers."""
    sentence = f"Not Found - Targeted resource '{what}' does not exist. Check the '{parameter}'"
    return problem(Code.NOT_FOUND, f"{sentence} parameter")


def invalid(parameter: str, rule: str) -> Problem:
    """A property is not what it must be: which, in IBM's words, and what it must be."""
    sentence = f"Invalid value was provided. Check the '{parameter}' parameter value"
    return problem(Code.INVALID_VALUE, f"{sentence}: {rule}.")
