"""VAPID against RFC 8292's own example, and the rules that push services add."""

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from heliograph.model import VapidKeys
from heliograph.wire import ece, vapid

SCALAR = bytes(range(1, 33))
EXPIRES_AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)

# RFC 8292 §2.4, https://www.rfc-editor.org/rfc/rfc8292#section-2.4
RFC_8292_EXAMPLE = (
    "vapid t=eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiL"
    "CJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9"
    "GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA, "
    "k=BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
)


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def opened(authorization: str) -> tuple[dict[str, object], dict[str, object], bytes]:
    """Header, claims and public key, as a push service reads them; raises if it is forged."""
    scheme, _, parameters = authorization.partition(" ")
    token, key = (value.partition("=")[2] for value in parameters.split(", "))
    text, _, signature = token.rpartition(".")
    r, s = (int.from_bytes(half, "big") for half in divided(decoded(signature)))
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(key))
    point.verify(encode_dss_signature(r, s), text.encode(), ec.ECDSA(SHA256()))
    assert scheme == "vapid"
    header, claims = (json.loads(decoded(part)) for part in text.split("."))
    return header, claims, decoded(key)


def divided(signature: bytes) -> tuple[bytes, bytes]:
    assert len(signature) == 64
    return signature[:32], signature[32:]


def test_rfc_8292_example_is_read() -> None:
    """Our reading of the scheme finds the RFC's example genuine, so it can judge ours."""
    header, claims, _key = opened(RFC_8292_EXAMPLE)

    assert {"typ": "JWT", "alg": "ES256"} == header
    assert {
        "aud": "https://push.example.net",
        "exp": 1453523768,
        "sub": "mailto:push@example.com",
    } == claims


def test_an_altered_token_is_noticed() -> None:
    """The judge of these tests does judge."""
    with pytest.raises(InvalidSignature):
        opened(RFC_8292_EXAMPLE.replace("t=eyJ0", "t=eyJ1"))


def test_an_authorization_says_who_and_until_when() -> None:
    """The claims are the audience, the expiry in whole seconds and the contact."""
    keys = vapid.key_pair(SCALAR)

    header, claims, key = opened(
        vapid.authorization(
            keys,
            audience="https://push.example.net",
            subject="mailto:push@example.com",
            expires_at=EXPIRES_AT,
        )
    )

    assert {"typ": "JWT", "alg": "ES256"} == header
    assert {
        "aud": "https://push.example.net",
        "exp": 1767323045,
        "sub": "mailto:push@example.com",
    } == claims
    assert keys.public_key == key


def test_a_contact_is_optional() -> None:
    """Without a subject there is no ``sub`` claim, as RFC 8292 §2.1 allows."""
    authorization = vapid.authorization(
        vapid.key_pair(SCALAR),
        audience="https://push.example.net",
        subject=None,
        expires_at=EXPIRES_AT,
    )

    assert {"aud", "exp"} == opened(authorization)[1].keys()


def test_a_scalar_makes_a_pair() -> None:
    """The public key is the one that browsers can subscribe with."""
    keys = vapid.key_pair(SCALAR)

    assert VapidKeys(SCALAR, ece.public_key_bytes(ece.private_key_of(SCALAR))) == keys


def test_zero_makes_no_pair() -> None:
    """What is no P-256 private key is refused."""
    with pytest.raises(ValueError):
        vapid.key_pair(bytes(32))


@pytest.mark.parametrize(
    "endpoint, expected",
    [
        pytest.param("https://push.example.net/p/x?y#z", "https://push.example.net", id="path"),
        pytest.param(
            "https://push.example.net:443/", "https://push.example.net", id="default port"
        ),
        pytest.param("https://push.example.net:8443/", "https://push.example.net:8443", id="port"),
        pytest.param("http://127.0.0.1:80/p", "http://127.0.0.1", id="default port of http"),
        pytest.param("http://127.0.0.1:443/p", "http://127.0.0.1:443", id="other scheme's port"),
        pytest.param("HTTPS://Push.Example.NET/P", "https://push.example.net", id="upper case"),
        pytest.param("https://[2001:db8::1]:8443/p", "https://[2001:db8::1]:8443", id="IPv6"),
        pytest.param("https://u:p@push.example.net/", "https://push.example.net", id="user"),
    ],
)
def test_an_audience_is_the_origin(endpoint: str, expected: str) -> None:
    """Scheme, host and a port of its own, as browsers write an origin."""
    assert expected == vapid.audience_of(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param("ftp://push.example.net/", id="another scheme"),
        pytest.param("/p/x", id="no host"),
        pytest.param("https:///p", id="empty host"),
        pytest.param("https://push.example.net:99999/", id="impossible port"),
        pytest.param("https://[::1/", id="broken IPv6"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_endpoint_has_no_audience(endpoint: str) -> None:
    """Anything but an absolute URL of the web is refused."""
    with pytest.raises(ValueError):
        vapid.audience_of(endpoint)


@pytest.mark.parametrize(
    "subject",
    [
        "mailto:push@example.com",
        "mailto:push@example.com?subject=push",
        "https://example.com",
        "https://example.com/contact",
    ],
)
def test_contact_addresses_pass(subject: str) -> None:
    """A mail address or a page is what every service takes."""
    vapid.check_subject(subject)


@pytest.mark.parametrize(
    "subject, message",
    [
        pytest.param("push@example.com", "mailto:somebody", id="no scheme"),
        pytest.param("http://example.com", "mailto:somebody", id="http"),
        pytest.param("tel:+123", "mailto:somebody", id="another scheme"),
        pytest.param("MAILTO:push@example.com", "mailto:somebody", id="upper case"),
        pytest.param("mailto:", "mailto:somebody", id="no address"),
        pytest.param("mailto:push", "mailto:somebody", id="no host"),
        pytest.param("https://", "mailto:somebody", id="no page"),
        pytest.param("https://[::1", "must be a URL", id="broken URL"),
        pytest.param("mailto: push@example.com", "no spaces", id="space"),
        pytest.param("mailto:<push@example.com>", "no spaces", id="angle brackets"),
        pytest.param("mailto:push@example.com\n", "no spaces", id="line feed"),
        pytest.param("mailto:pusż@example.com", "no spaces", id="not ASCII"),
        pytest.param("mailto:push@localhost", "localhost", id="mail to localhost"),
        pytest.param("mailto:push@LOCALHOST", "localhost", id="mail to LOCALHOST"),
        pytest.param("https://localhost/contact", "localhost", id="page on localhost"),
        pytest.param("https://localhost:8040", "localhost", id="page on localhost with a port"),
        pytest.param("https://app.localhost", "localhost", id="page below localhost"),
        pytest.param("https://127.0.0.1/", "localhost", id="page on 127.0.0.1"),
        pytest.param("https://[::1]/", "localhost", id="page on ::1"),
        pytest.param("", "mailto:somebody", id="empty"),
    ],
)
def test_other_contact_addresses_are_refused(subject: str, message: str) -> None:
    """What Mozilla or Apple would refuse at every push is refused here once."""
    with pytest.raises(ValueError, match=message):
        vapid.check_subject(subject)
