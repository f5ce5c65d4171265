"""
How a push service knows who is sending: VAPID (RFC 8292).

An instance has one pair of keys, and a browser's subscription is bound to the public
one. A signature is good for every subscription at one *audience* (the origin of its
endpoint) until it expires, so one is made per origin and day, not per message.
"""

from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from heliograph.model import VapidKeys
from heliograph.wire import ece, jws

MAX_LIFETIME: Final = timedelta(hours=24)
"""No service takes a signature that is good for longer (RFC 8292 §2)."""

TOKEN_LIFETIME: Final = timedelta(hours=12)
"""What to ask for: half of the maximum leaves room for a wrong clock."""

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def key_pair(scalar: bytes) -> VapidKeys:
    """
    The pair that a private key makes.

    Args:
        scalar: 32 bytes, unpredictable where the pair is a new one.

    Raises:
        ValueError: It is not a P-256 private key (32 random bytes miss once in four
            thousand million).
    """
    return VapidKeys(scalar, ece.public_key_bytes(ece.private_key_of(scalar)))


def authorization(
    keys: VapidKeys, *, audience: str, subject: str | None, expires_at: datetime
) -> str:
    """
    The ``authorization`` header of requests to one push service (RFC 8292 §3).

    Args:
        keys: The pair that the subscriptions were made with.
        audience: The service's origin, from ``audience_of``.
        subject: How the service's operators reach ours: a ``mailto:`` or ``https:``
            address that passes ``check_subject``. Mozilla and Apple insist on one.
        expires_at: At most ``MAX_LIFETIME`` from now; whole seconds of it count.
    """
    contact = {} if subject is None else {"sub": subject}
    token = jws.sign_es256(
        {"typ": "JWT"},
        {"aud": audience, "exp": int(expires_at.timestamp()), **contact},
        ece.private_key_of(keys.private_key),
    )
    return f"vapid t={token}, k={jws.base64url(keys.public_key)}"


def audience_of(endpoint: str) -> str:
    """
    The origin of a subscription's endpoint, as the token's ``aud`` (RFC 8292 §2).

    Returns:
        Scheme and host in lower case, and the port unless it is the scheme's own
        (RFC 6454 §6.2).

    Raises:
        ValueError: It is not an absolute ``http`` or ``https`` URL.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("a push endpoint is an absolute https URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    is_default = port is None or port == _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{host}" if is_default else f"{parts.scheme}://{host}:{port}"


def check_subject(subject: str) -> None:
    """
    Refuse a contact address that some push service would refuse.

    Mozilla takes exactly ``mailto:…`` and ``https://…``; Apple answers 403
    BadJwtToken to anything odd, white space and ``localhost`` included. Better to
    say so when the setting is made than at every push.

    Raises:
        ValueError: It would be refused; the message says why.
    """
    if not (subject.isascii() and subject.isprintable()) or set(subject) & set(" <>"):
        raise ValueError("a VAPID subject has no spaces, angle brackets or control characters")
    if _is_loopback(_contact_host(subject)):
        raise ValueError("a VAPID subject cannot be on localhost: Apple refuses it")


def _contact_host(subject: str) -> str:
    """The host that a contact address is at, in lower case."""
    if subject.startswith("mailto:"):
        mailbox, _, host = subject.removeprefix("mailto:").partition("?")[0].rpartition("@")
        if mailbox and host:
            return host.lower()
    elif subject.startswith("https://"):
        try:
            if url_host := urlsplit(subject).hostname:
                return url_host
        except ValueError as error:
            raise ValueError("a VAPID subject's https: address must be a URL") from error
    raise ValueError("a VAPID subject is mailto:somebody@example.com or https://example.com/…")


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").rstrip(".")
    return name in {"localhost", "::1"} or name.endswith(".localhost") or name.startswith("127.")
