"""Made-up credentials: the only ones this sandbox accepts, so a real key is always refused."""

import secrets
import string
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

DEFAULT_TOPIC: Final = "com.example.app"
"""The bundle id of the app that virtual Apple devices have installed."""

_APPLE_ID_ALPHABET: Final = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Credentials:
    """One Apple team with one key, and one Google service account."""

    apple_key: ec.EllipticCurvePrivateKey
    key_id: str
    team_id: str
    google_key: rsa.RSAPrivateKey
    project_id: str
    private_key_id: str
    client_id: str

    @classmethod
    def generate(cls) -> Self:
        """Invent a set; the RSA key takes about a tenth of a second of processor time."""
        return cls(
            apple_key=ec.generate_private_key(ec.SECP256R1()),
            key_id=_apple_id(),
            team_id=_apple_id(),
            google_key=rsa.generate_private_key(public_exponent=65537, key_size=2048),
            project_id=f"sandbox-{secrets.token_hex(3)}",
            private_key_id=secrets.token_hex(20),
            client_id=str(uuid4().int)[:21],
        )

    @property
    def client_email(self) -> str:
        """The service account's name."""
        return f"heliograph@{self.project_id}.iam.gserviceaccount.com"

    @cached_property
    def apple_key_pem(self) -> str:
        """The contents of the ``.p8`` file."""
        return _pkcs8(self.apple_key)

    @cached_property
    def google_key_pem(self) -> str:
        """The ``private_key`` of the service account file."""
        return _pkcs8(self.google_key)

    def apns(self, *, endpoint: str, sandbox_endpoint: str, ca: str) -> dict[str, object]:
        """The body of ``PUT …/credentials/apns`` for this sandbox."""
        return {
            "key": self.apple_key_pem,
            "key_id": self.key_id,
            "team_id": self.team_id,
            "topic": DEFAULT_TOPIC,
            "endpoint": endpoint,
            "sandbox_endpoint": sandbox_endpoint,
            "ca": ca,
        }

    def fcm(self, *, endpoint: str, ca: str) -> dict[str, object]:
        """The body of ``PUT …/credentials/fcm`` for this sandbox."""
        return {
            "service_account": {
                "type": "service_account",
                "project_id": self.project_id,
                "private_key_id": self.private_key_id,
                "private_key": self.google_key_pem,
                "client_email": self.client_email,
                "client_id": self.client_id,
                "token_uri": f"{endpoint}/token",
            },
            "endpoint": endpoint,
            "ca": ca,
        }


def _apple_id() -> str:
    return "".join(secrets.choice(_APPLE_ID_ALPHABET) for _ in range(10))


def _pkcs8(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
