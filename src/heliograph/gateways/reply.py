"""
Reading what a gateway wrote, however badly.

A reply's body comes from outside and its words end up in logs, so both functions
take anything at all and never raise.
"""

import re

import msgspec

_WORDS = re.compile(r"[A-Za-z_][A-Za-z_ .'-]{0,79}")
"""
A service's code or short sentence.

Without digits and at most 80 characters, which no device token, key or address fits.
"""


def read_object(body: bytes) -> dict[str, object]:
    """The JSON object that a body is; an empty one if it is anything else. Never raises."""
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def read_words(value: object) -> str:
    """
    A code or short sentence that is fit for a log; empty if it is anything else.

    Never raises, and never returns what could be a secret: see ``_WORDS``.
    """
    return value if isinstance(value, str) and _WORDS.fullmatch(value) else ""
