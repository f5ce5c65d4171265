"""A sender's proof of who it is to a push service (RFC 8292)."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from heliograph.sandbox.signed_token import BadTokenError, SignedToken, base64url

MAX_LIFE: Final = timedelta(hours=24)
"""RFC 8292 §2: ``exp`` must not be more than 24 hours from the time of the request."""

_PARAMETER: Final = re.compile(r'\s*([a-z]+)\s*=\s*"?([A-Za-z0-9_.=-]+)"?\s*')
_KNOWN_PROOFS_KEPT: Final = 4096


class BadProofError(ValueError):
    """The sender did not prove who it is; the message says why."""


@dataclass(slots=True)
class Doorkeeper:
    """Checks the proofs shown to one push service."""

    origin: str
    """The scheme, host and port of its endpoints: the audience of every proof."""
    _known: dict[tuple[str, str], SignedToken] = field(default_factory=dict)
    """Tokens whose signature was found good."""

    def sender(self, authorization: str | None, now: datetime) -> bytes:
        """
        The public key of the sender, a point of 65 bytes.

        Args:
            authorization: The header's value; None if there is none.
            now: For the token's expiry.

        Raises:
            BadProofError: if the header, the signature or a claim is not right.
        """
        text, key = _parameters(authorization)
        token = self._known.get((text, key)) or self._verified(text, key)
        if token.claims.get("aud") != self.origin:
            raise BadProofError(f"VAPID: aud must be {self.origin}")
        expires_at = token.number("exp")
        if expires_at is None or expires_at <= now.timestamp():
            raise BadProofError("VAPID: exp is missing or past")
        if expires_at > (now + MAX_LIFE).timestamp():
            raise BadProofError("VAPID: exp is more than 24 hours ahead")
        if not str(token.claims.get("sub", "")).startswith(("mailto:", "https://")):
            raise BadProofError("VAPID: sub must be a mailto: or https: URI")
        return base64url(key)

    def _verified(self, text: str, key: str) -> SignedToken:
        try:
            point = base64url(key)
            public_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
            token = SignedToken.parse(text)
            token.verify_es256(public_key)
        except BadTokenError as error:
            raise BadProofError(f"VAPID: {error}") from error
        except ValueError as error:
            raise BadProofError("VAPID: k is not a public key of P-256") from error
        if len(self._known) >= _KNOWN_PROOFS_KEPT:
            self._known.clear()
        self._known[text, key] = token
        return token


def _parameters(authorization: str | None) -> tuple[str, str]:
    """The token and the key of ``vapid t=…, k=…`` (RFC 8292 §3)."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() != "vapid":
        raise BadProofError("VAPID: the Authorization header is missing or of another scheme")
    found = [_PARAMETER.fullmatch(part) for part in rest.split(",")]
    values = {match[1]: match[2] for match in found if match is not None}
    if "t" not in values or "k" not in values:
        raise BadProofError("VAPID: t and k are both needed")
    return values["t"], values["k"]
