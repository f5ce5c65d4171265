import re

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from heliograph.sandbox import Credentials


def test_apple_credentials(credentials: Credentials) -> None:
    """The key is in PKCS #8, and the ids have ten characters."""
    shown = credentials.apns(endpoint="https://a", sandbox_endpoint="https://b", ca="CA")

    assert str(shown["key"]).startswith("-----BEGIN PRIVATE KEY-----")
    assert re.fullmatch("[A-Z0-9]{10}", str(shown["key_id"]))
    assert re.fullmatch("[A-Z0-9]{10}", str(shown["team_id"]))
    assert ("com.example.app", "https://a", "https://b", "CA") == (
        shown["topic"],
        shown["endpoint"],
        shown["sandbox_endpoint"],
        shown["ca"],
    )


def test_google_credentials(credentials: Credentials) -> None:
    """The service account sends its owner to the sandbox for tokens."""
    shown = credentials.fcm(endpoint="https://f", ca="CA")
    account = shown["service_account"]

    assert isinstance(account, dict)
    assert {
        "type",
        "project_id",
        "private_key_id",
        "private_key",
        "client_email",
        "client_id",
        "token_uri",
    } == set(account)
    assert "https://f/token" == account["token_uri"]
    assert credentials.google_key.private_numbers() == _private_numbers(account["private_key"])


def _private_numbers(pem: str) -> rsa.RSAPrivateNumbers:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.private_numbers()
