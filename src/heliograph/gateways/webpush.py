"""
Web Push (RFC 8030), encrypted (RFC 8291) and signed (RFC 8292).

One protocol, several services, which differ in how they say no:

* Mozilla: https://mozilla-services.github.io/autopush-rs/errors.html
* Apple: https://developer.apple.com/documentation/usernotifications/sending-web-push-notifications-in-web-apps-and-browsers
* Microsoft: https://learn.microsoft.com/windows/apps/develop/notifications/push-notifications/push-request-response-headers
* Google: plain text, undocumented
"""

import hashlib
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from heliograph.gateways.contract import (
    Gone,
    Outcome,
    Refused,
    Rejected,
    Sent,
    Suspect,
    Unavailable,
)
from heliograph.gateways.reply import read_object, read_words
from heliograph.model import WebMessage
from heliograph.wire import ece, http2, jws
from heliograph.wire.http import HttpResponse, retry_after
from heliograph.wire.http2 import Template

MAX_TTL_SECONDS: Final = 2_419_200
"""Four weeks: the longest that every service keeps a message."""

TAKEN: Final = range(200, 300)
"""Statuses of success: 201 (RFC 8030 §5), and what some services say instead."""

URGENCIES: Final = ("very-low", "low", "normal", "high")

_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_MICROSOFT: Final = ".notify.windows.com"
_KNOWN: Final = (
    ".push.services.mozilla.com",
    ".push.apple.com",
    "//fcm.googleapis.com",
    _MICROSOFT,
)


def problems(message: WebMessage) -> list[str]:
    """Why push services would refuse this message whatever the browser; empty if nothing is."""
    size = len(message.payload)
    claims = (
        (
            size > ece.MAX_PLAINTEXT_BYTES,
            f"payload: {size} bytes is more than the {ece.MAX_PLAINTEXT_BYTES} that fit one push",
        ),
        (
            not 0 <= message.ttl_seconds <= MAX_TTL_SECONDS,
            f"ttl_seconds: must be 0 to {MAX_TTL_SECONDS}",
        ),
        (
            message.urgency is not None and message.urgency not in URGENCIES,
            f"urgency: must be one of {', '.join(URGENCIES)}",
        ),
        (message.topic == "", "topic: is empty"),
    )
    return [problem for is_wrong, problem in claims if is_wrong]


def template(message: WebMessage, *, origin: str, authorization: str) -> Template:
    """
    What the requests of one publish to one push service have in common.

    No redirect may be followed.

    Args:
        message: One without ``problems``.
        origin: The push service's, as in the subscriptions' endpoints.
        authorization: From ``vapid.authorization``, for this origin.
    """
    headers: list[tuple[str, str | None]] = [
        ("authorization", authorization),
        ("ttl", str(message.ttl_seconds)),
        ("content-encoding", "aes128gcm"),
        ("content-type", "application/octet-stream"),
    ]
    if message.urgency is not None:
        headers.append(("urgency", message.urgency))
    if message.topic is not None:
        headers.append(("topic", topic(message.topic)))
    if (urlsplit(origin).hostname or "").endswith(_MICROSOFT):
        # Without it, TTL 0 is answered 400 "Ttl value conflicts with
        # X-WNS-Cache-Policy" (github.com/web-push-libs/pywebpush/issues/162).
        policy = "cache" if message.ttl_seconds else "no-cache"
        headers.append(("x-wns-cache-policy", policy))
    return http2.template("POST", origin, None, headers, None)


def values(path: str, body: bytes) -> tuple[bytes, bytes]:
    """
    What one delivery puts into the template.

    Args:
        path: The endpoint's, with its query.
        body: The payload, encrypted for this browser (``wire/ece.py``).
    """
    return path.encode("ascii"), body


def aged(message: WebMessage, age: timedelta) -> WebMessage:
    """The message as it is to be sent later: it is to be kept for what is left of its TTL."""
    seconds = int(age.total_seconds())
    if seconds <= 0:
        return message
    return replace(message, ttl_seconds=max(message.ttl_seconds - seconds, 0))


def topic(name: str) -> str:
    """
    A ``topic`` header that every service takes, the same for the same name.

    RFC 8030 §5.4 wants at most 32 characters of the base64url alphabet; Apple wants
    them to decode, too. What is not so already becomes 32 characters of its SHA-256.
    """
    if _TOPIC.fullmatch(name) and _decodes(name):
        return name
    return jws.base64url(hashlib.sha256(name.encode()).digest()[:24])


def is_known(origin: str) -> bool:
    """
    Whether this is one of the push services that browsers come with.

    Only their refusals say something of our key. Anybody's endpoint can refuse, and an
    instance's other browsers must not wait for its operator to mend what is not broken.
    """
    return origin.lower().endswith(_KNOWN)


def outcome(response: HttpResponse, *, now: datetime) -> Outcome:
    """
    Say what a reply means for one delivery, whichever service it is from.

    Args:
        response: The whole reply.
        now: When it came, for a ``retry-after`` that is a date.

    Returns:
        Exactly one outcome; never raises. ``Gone`` only for 404 (RFC 8030 §7.3) and
        410, whatever the body says.
    """
    status = response.status
    if status in TAKEN:
        # The message's own address, ``location``, is for taking it back (RFC 8030 §6),
        # which no publish can ask for: its header fields are left unread, which is dear.
        return Sent()
    body = read_object(response.body)
    reason = _reason(response, body)
    if status in _AMBIGUOUS_STATUSES and (known := _outcome_of_cause(response, reason)):
        return known
    if status in _RETRIED_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        told = retry_after(response, now=now)
        at_once = timedelta(0) if body.get("errno") == _MOZILLA_RETRY_AT_ONCE else None
        return Unavailable(reason, at_once if told is None else told)
    return _outcome_of_status(status)(reason)


_AMBIGUOUS_STATUSES: Final = frozenset({400, 401, 403})
"""Where the services' own words tell the message, our key and the subscription apart."""

_RETRIED_STATUSES: Final = frozenset({406, 429})
"""406 is how Microsoft says 429."""

_MOZILLA_RETRY_AT_ONCE: Final = 202
"""503 errno: try again at once; 201 is the one to back off for."""

_MAX_ERRNO: Final = 999

_OUTCOME_OF: Final[dict[str, Callable[[str], Outcome]]] = {
    "BadJwtToken": Refused,
    "BadVapidPublicKey": Refused,
    "VapidPkHashMismatch": Suspect,
}
"""Apple's reasons that mean another thing than their status."""

_UNAUTHORIZED: Final = b"UnauthorizedRegistration"
"""Google's old 400 for a VAPID signature that it does not accept."""

_OTHER_KEY: Final = re.compile(rb"VAPID.{0,200}do(es)? not (correspond|match)", re.DOTALL)
"""
Google's 403 for a subscription that was made with another key.

"the VAPID credentials in the authorization header do not correspond to the credentials
used to create the subscriptions."
"""


def _outcome_of_cause(response: HttpResponse, reason: str) -> Outcome | None:
    """What the services' own words mean; None if they add nothing to the status."""
    if known := _OUTCOME_OF.get(reason):
        return known(reason)
    text = response.body[:4096]
    if response.status == HTTPStatus.FORBIDDEN and _OTHER_KEY.search(text):
        return Suspect("VAPID key mismatch")
    if _UNAUTHORIZED in text:
        return Refused(_UNAUTHORIZED.decode())
    return None


def _outcome_of_status(status: int) -> Callable[[str], Outcome]:
    match status:
        case 404 | 410:
            return Gone
        case 401 | 403:
            return Refused
        case _ if status >= HTTPStatus.BAD_REQUEST:
            return Rejected
        case _:
            # A redirect is not followed: it could lead anywhere, our own network
            # included. The push service, or a setting of ours, has moved.
            return Refused


def _reason(response: HttpResponse, body: dict[str, object]) -> str:
    """The service's word for what went wrong, or the status."""
    errno = body.get("errno")
    if isinstance(errno, int) and 0 < errno <= _MAX_ERRNO:
        return f"errno {errno}"
    told = (
        body.get("reason"),
        response.header("x-wns-error-description"),
        response.header("x-wns-notificationstatus"),
        response.header("x-wns-status"),
    )
    return next(filter(None, map(read_words, told)), f"HTTP {response.status}")


def _decodes(name: str) -> bool:
    """Whether this is exactly how some bytes are written in base64url."""
    try:
        return jws.base64url(urlsafe_b64decode(name + "=" * (-len(name) % 4))) == name
    except ValueError:
        return False
