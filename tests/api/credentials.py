"""Made-up credentials in the form that the admin API takes."""

from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

_FORM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@cache
def p256_key() -> str:
    """A key as in Apple's .p8 files."""
    return ec.derive_private_key(7, ec.SECP256R1()).private_bytes(*_FORM).decode()


@cache
def rsa_key() -> str:
    """A key as in Google's service-account files."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return key.private_bytes(*_FORM).decode()


def apns(**changes: Any) -> dict[str, Any]:
    """An APNs signing key."""
    value = {
        "key": p256_key(),
        "key_id": "ABC123DEFG",
        "team_id": "DEF123GHIJ",
        "topic": "com.example.app",
    }
    return value | changes


def fcm(*, endpoint: Any = "https://fcm.example", **changes: Any) -> dict[str, Any]:
    """A service account, with what Google writes into it besides what we need."""
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "k1",
        "private_key": rsa_key(),
        "client_email": "push@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "https://oauth2.example/token",
    }
    return {"service_account": account | changes, "endpoint": endpoint}
