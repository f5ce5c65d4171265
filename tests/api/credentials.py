"""Made-up credentials in the form that the admin API takes."""

from base64 import b64encode
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_pem_x509_certificate

from heliograph.sandbox.authority import Authority
from heliograph.sandbox.provider_certificate import issue

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


def apns_certificate(topic: str | None = "com.example.app", **form: Any) -> dict[str, Any]:
    """A certificate with its key, in PEM, without a topic: it names that itself."""
    certificate, key = issue(_authority(), topic, **form)
    return {"certificate": certificate, "key": key}


def apns_p12(password: str = "", **form: Any) -> dict[str, Any]:
    """The same as one file, as Keychain exports it."""
    body = apns_certificate(**form)
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    data = serialize_key_and_certificates(
        b"app",
        load_pem_private_key(body["key"].encode(), None),  # type: ignore[arg-type]  # an elliptic one
        load_pem_x509_certificate(body["certificate"].encode()),
        None,
        encryption,
    )
    return {"p12": b64encode(data).decode(), "password": password}


@cache
def _authority() -> Authority:
    return Authority()


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
