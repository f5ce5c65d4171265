"""Senders as the tests need them: proofs of identity made from the vendors' documents."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from heliograph.sandbox.credentials import Credentials
from heliograph.sandbox.devices import Device
from heliograph.sandbox.oauth import JWT_BEARER
from heliograph.wire.ece import encrypt

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
"""When the pure tests take place."""

MESSAGING_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    header: Mapping[str, object],
    claims: Mapping[str, object],
) -> str:
    """A token in compact form, ES256 or RS256 by the kind of key."""
    parts = [base64url(json.dumps(dict(part)).encode()) for part in (header, claims)]
    text = ".".join(parts).encode()
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(text, padding.PKCS1v15(), SHA256())
    else:
        r, s = decode_dss_signature(key.sign(text, ec.ECDSA(SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
    return f"{text.decode()}.{base64url(signature)}"


def provider_token(
    credentials: Credentials,
    *,
    now: datetime = NOW,
    key: ec.EllipticCurvePrivateKey | None = None,
    key_id: str | None = None,
    team_id: str | None = None,
) -> str:
    """Apple's provider token, good unless told otherwise."""
    header = {"alg": "ES256", "kid": key_id or credentials.key_id}
    claims = {"iss": team_id or credentials.team_id, "iat": int(now.timestamp())}
    return signed(key or credentials.apple_key, header, claims)


def assertion(
    credentials: Credentials,
    *,
    token_uri: str,
    now: datetime = NOW,
    key: rsa.RSAPrivateKey | None = None,
    **changes: object,
) -> str:
    """A service account's assertion, good unless a claim is changed."""
    claims: dict[str, object] = {
        "iss": credentials.client_email,
        "scope": MESSAGING_SCOPE,
        "aud": token_uri,
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 3600,
    }
    header = {"alg": "RS256", "kid": credentials.private_key_id}
    return signed(key or credentials.google_key, header, claims | changes)


def grant_form(text: str) -> bytes:
    """The body of a token request with this assertion."""
    return urlencode({"grant_type": JWT_BEARER, "assertion": text}).encode()


class VapidSender:
    """A web push sender with a key of its own."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def authorization(self, *, now: datetime = NOW, **changes: object) -> str:
        claims: dict[str, object] = {
            "aud": self.origin,
            "exp": int((now + timedelta(hours=12)).timestamp()),
            "sub": "mailto:operator@example.com",
        }
        token = signed(self.key, {"alg": "ES256", "typ": "JWT"}, claims | changes)
        return f"vapid t={token}, k={base64url(self.public_key)}"

    def headers(self, *, now: datetime = NOW) -> dict[str, str]:
        return {
            "ttl": "60",
            "content-encoding": "aes128gcm",
            "authorization": self.authorization(now=now),
        }


def sealed(device: Device, payload: object) -> bytes:
    """A body that only this virtual browser can read: bytes as they are, else JSON."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    assert device.browser_keys is not None
    return encrypt(
        text,
        p256dh=device.browser_keys.p256dh,
        auth=device.browser_keys.auth,
        private_key=ec.generate_private_key(ec.SECP256R1()),
        salt=b"0123456789abcdef",
    )
