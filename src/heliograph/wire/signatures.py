"""
Signatures of webhooks: who sends a call, and that nobody has changed it.

Two forms: the hexadecimal HMAC-SHA1 of the body, as older services write it, and that of
Standard Webhooks 1.0 (symmetric, "v1"), which covers the call's id and time as well.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Final

_PREFIX: Final = "whsec_"


def sha1_hex(secret: str, body: bytes) -> str:
    """The HMAC-SHA1 of a body under the text of a secret: 40 lower-case hexadecimal digits."""
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def standard_headers(
    secret: str, identity: str, body: bytes, *, at: datetime
) -> list[tuple[str, str]]:
    """
    The fields of Standard Webhooks, the signature's under a name of our own.

    ``webhook-signature`` is taken by older services, whose customers compare all of it.

    Args:
        secret: ``whsec_`` and the key in base64, or any text, which is the key itself.
        identity: The call's id, the same at every attempt.
        body: What is sent.
        at: When this attempt is made.
    """
    seconds = str(int(at.timestamp()))
    signed = b".".join((identity.encode(), seconds.encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return [
        ("webhook-id", identity),
        ("webhook-timestamp", seconds),
        ("webhook-signature-256", f"v1,{base64.b64encode(digest).decode()}"),
    ]


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        return base64.b64decode(secret.removeprefix(_PREFIX))
    return secret.encode()
