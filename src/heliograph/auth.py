"""
Who is asking: given what we know, says yes or no. Pure.

A Beams token is a JSON Web Token with which a customer's back end vouches for one of
its users (contract: Beams' server SDKs, ``generateToken``): HS256 over the ASCII text
of the instance's secret key, ``sub`` the user, ``iss`` the instance, ``exp`` at most a
day ahead.
"""

import hmac
import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

from heliograph.errors import HeliographError
from heliograph.model import InstanceId, UserId
from heliograph.wire import jws

LONGEST_USER_ID: Final = 164
"""Characters. Beams' pages say bytes here and characters there; its SDKs count characters."""

LONGEST_USER_ID_OF_ANY: Final = 254
"""What the most generous dialect takes (IBM's, contract §9)."""

LEEWAY: Final = timedelta(minutes=5)
"""How far a back end's clock may be ahead of ours: "used before issued" is Beams' FAQ."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_ISSUER: Final = "{}.pushnotifications.pusher.com"
"""Every SDK writes this name, whatever server it was pointed at."""

_Why = Literal["forged", "claims", "expired", "early", "issuer"]


class TokenRefused(HeliographError):  # noqa: N818  (reads as what happened)
    """A Beams token does not prove who its bearer is."""

    def __init__(self, why: _Why, detail: str) -> None:
        """Say which rule it breaks; ``detail`` is fit for the bearer's eyes."""
        super().__init__(detail)
        self.why = why


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


def user_of_token(
    token: str, *, instance: InstanceId, secret_keys: Iterable[str], now: datetime
) -> UserId:
    """
    The user for whom a Beams token vouches.

    Args:
        token: A compact JWT.
        instance: The instance it must be for.
        secret_keys: Those that may have signed it.
        now: The time.

    Raises:
        TokenRefused: Whatever is wrong with it.
    """
    claims = _signed_claims(token, secret_keys)
    expires, subject, issuer = claims.get("exp"), claims.get("sub"), claims.get("iss")
    if not _is_instant(expires):
        raise TokenRefused("claims", "Invalid JWT claims: exp is missing or not a number")
    if not isinstance(subject, str) or (problem := user_problem(subject)):
        detail = problem if isinstance(subject, str) else "is missing or not text"
        raise TokenRefused("claims", f"Invalid JWT claims: sub {detail}")
    if not isinstance(issuer, str):
        raise TokenRefused("claims", "Invalid JWT claims: iss is missing or not text")
    if float(expires) <= now.timestamp():  # type: ignore[arg-type]  # an instant is a number
        raise TokenRefused("expired", "Invalid JWT claims: Token is expired")
    for claim in ("iat", "nbf"):
        value = claims.get(claim)
        if value is not None and (
            not _is_instant(value) or float(value) > (now + LEEWAY).timestamp()  # type: ignore[arg-type]  # the same
        ):
            raise TokenRefused("early", "Invalid JWT claims: Token used before issued")
    # Swift's server SDK 2.0.0 leaves the scheme out.
    if issuer.removeprefix("https://").lower() != _ISSUER.format(instance):
        raise TokenRefused("issuer", "Invalid JWT claims: iss is not this instance")
    return UserId(subject)


def _signed_claims(token: str, secret_keys: Iterable[str]) -> dict[str, object]:
    problem: jws.InvalidSignature | None = None
    for secret_key in secret_keys:
        try:
            return jws.verify_hs256(token, secret_key)
        except jws.InvalidSignature as error:
            problem = error
    raise TokenRefused("forged", "Invalid JWT: it is not signed by this instance") from problem


def _is_instant(value: object) -> bool:
    """Seconds since the epoch; a bool is an int to Python but not to anybody else."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 2**53
        and math.isfinite(value)
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
