"""Who is asking: given what we know, says yes or no. Pure."""

import hmac
import re
from collections.abc import Iterable
from typing import Final

LONGEST_USER_ID: Final = 254
"""Characters; a dialect may take fewer."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def is_secret(presented: str, secrets: Iterable[str]) -> bool:
    """Whether a presented secret is one of ours; takes as long for a near miss as for any."""
    candidate = presented.encode("utf-8", "surrogatepass")
    # No short cut: every comparison is made, so that timing tells nothing.
    matches = [hmac.compare_digest(candidate, secret.encode()) for secret in secrets]
    return any(matches)


def bearer(header: str | None) -> str | None:
    """The credential in an ``Authorization`` header; None if it is none of ours (RFC 6750)."""
    scheme, _, credential = (header or "").partition(" ")
    credential = credential.strip()
    return credential if scheme.lower() == "bearer" and credential else None


def user_problem(user: str, *, longest: int = LONGEST_USER_ID) -> str | None:
    """Why a text cannot be a user id of at most so many characters; None if it can."""
    if not user:
        return "must not be empty"
    if len(user) > longest:
        return f"is too long, max length is {longest}"
    if _CONTROL.search(user) or not _is_unicode(user):
        return "must be Unicode text without control characters"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
