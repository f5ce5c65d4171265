"""Signed tokens, judged by an independent JOSE library and by what must not pass."""

import hmac
import json
import warnings
from base64 import urlsafe_b64encode
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as judge
from joserfc.jwk import ECKey, OctKey, RSAKey

from heliograph.wire import jws

SECRET = "F8D7A1D1F8D7A1D1F8D7A1D1F8D7A1D"  # 31 characters, as customers have them
CLAIMS: dict[str, object] = {"sub": "alice", "exp": 1_700_000_000}

# RFC 7515 Appendix A.1, https://www.rfc-editor.org/rfc/rfc7515#appendix-A.1: a token
# whose key is not text, so that our reader can only refuse it.
RFC_7515_TOKEN = (
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

# The token that jwt.io has shown to every visitor for years, and its secret.
JWT_IO_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    ".eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ"
    ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)
JWT_IO_SECRET = "your-256-bit-secret"


@cache
def p256() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(7, ec.SECP256R1())


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def pem(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    *,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    form = PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.PEM, form).decode()


def part(text: bytes) -> str:
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(header: bytes, claims: bytes, secret: str = SECRET) -> str:
    """A token of any header and claims, with a signature that is right."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{part(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def test_es256_tokens_verify() -> None:
    """Another library finds an ES256 token genuine, with its header and claims."""
    token = jws.sign_es256({"kid": "ABC123DEFG"}, CLAIMS, p256())

    opened = judge.deserialize_compact(token, ECKey.import_key(public_pem(p256())), ["ES256"])
    assert {"alg": "ES256", "kid": "ABC123DEFG"} == opened.headers()
    assert CLAIMS == json.loads(opened.payload)


def test_rs256_tokens_verify() -> None:
    """Another library finds an RS256 token genuine, with its header and claims."""
    token = jws.sign_rs256({"typ": "JWT"}, CLAIMS, rsa_key())

    opened = judge.deserialize_compact(token, RSAKey.import_key(public_pem(rsa_key())), ["RS256"])
    assert {"alg": "RS256", "typ": "JWT"} == opened.headers()
    assert CLAIMS == json.loads(opened.payload)


def test_hs256_tokens_verify() -> None:
    """Another library finds an HS256 token genuine, with its header and claims."""
    token = jws.sign_hs256({"typ": "JWT"}, CLAIMS, SECRET)

    opened = judge.deserialize_compact(token, OctKey.import_key(SECRET), ["HS256"])
    assert {"alg": "HS256", "typ": "JWT"} == opened.headers()
    assert CLAIMS == json.loads(opened.payload)


def test_the_algorithm_is_not_for_the_header_to_choose() -> None:
    """A header's own ``alg`` gives way to the one that signs."""
    token = jws.sign_hs256({"alg": "none"}, CLAIMS, SECRET)

    assert CLAIMS == jws.verify_hs256(token, SECRET)


def test_a_published_token_is_read() -> None:
    """A token that the world knows gives the claims that the world knows."""
    expected: dict[str, object] = {"sub": "1234567890", "name": "John Doe", "iat": 1516239022}
    assert expected == jws.verify_hs256(JWT_IO_TOKEN, JWT_IO_SECRET)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(SECRET, id="31 characters"),
        pytest.param("x", id="1 character"),
        pytest.param("-----BEGIN PUBLIC KEY-----", id="looks like a key"),
        pytest.param("żółw", id="not ASCII"),
        pytest.param("x" * 1000, id="longer than a block"),
    ],
)
def test_any_secret_works_without_a_warning(secret: str) -> None:
    """The customer's secret is what it is: its bytes are the key and nobody complains."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        token = jws.sign_hs256({}, CLAIMS, secret)

        assert CLAIMS == jws.verify_hs256(token, secret)


@given(
    st.dictionaries(
        st.text(), st.text() | st.integers(-(2**53), 2**53) | st.booleans() | st.none()
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_what_is_signed_is_read(claims: dict[str, object], secret: str) -> None:
    """Any claims under any secret come back as they were."""
    assert claims == jws.verify_hs256(jws.sign_hs256({}, claims, secret), secret)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(b'{"alg":"none"}', b"{}"), id="alg none"),
        pytest.param(
            part(b'{"alg":"none"}') + "." + part(b"{}") + ".", id="alg none, no signature"
        ),
        pytest.param(signed(b'{"alg":"hs256"}', b"{}"), id="alg in lower case"),
        pytest.param(signed(b'{"alg":"HS512"}', b"{}"), id="alg HS512"),
        pytest.param(signed(b'{"alg":["HS256"]}', b"{}"), id="alg in a list"),
        pytest.param(signed(b'{"typ":"JWT"}', b"{}"), id="no alg"),
        pytest.param(signed(b'{"alg":"HS256","crit":["exp"]}', b"{}"), id="crit"),
        pytest.param(signed(b'{"alg":"HS256","crit":[]}', b"{}"), id="empty crit"),
        pytest.param(signed(b'["alg","HS256"]', b"{}"), id="header is a list"),
        pytest.param(signed(b"\xff", b"{}"), id="header is not UTF-8"),
        pytest.param(signed(b"[" * 60_000, b"{}"), id="header is nested deeply"),
        pytest.param(signed(b'{"alg":"HS256"}', b"[]"), id="claims are a list"),
        pytest.param(signed(b'{"alg":"HS256"}', b"null"), id="claims are null"),
        pytest.param(signed(b'{"alg":"HS256"}', b'{"exp":NaN}'), id="claims are not JSON"),
        pytest.param(signed(b'{"alg":"HS256"}', b'{"a":' * 60_000), id="claims are nested deeply"),
        pytest.param(
            signed(b'{"alg":"HS256"}', b'{"exp":1' + b"0" * 9999 + b"}"), id="huge number"
        ),
        pytest.param(signed(b'{"alg":"HS256"}', b"{}", "another secret!"), id="another secret"),
        pytest.param(RFC_7515_TOKEN, id="another key"),
        pytest.param(signed(b'{"alg":"HS256"}', b"{}") + "=", id="padding"),
        pytest.param(signed(b'{"alg":"HS256"}', b"{}") + "\n", id="line feed"),
        pytest.param(" " + signed(b'{"alg":"HS256"}', b"{}"), id="space"),
        pytest.param(signed(b'{"alg":"HS256"}', b"{}") + ".x", id="four parts"),
        pytest.param(signed(b'{"alg":"HS256"}', b"{}").rpartition(".")[0], id="two parts"),
        pytest.param(signed(b'{"alg":"HS256"}', b"{}")[:-1], id="one character short"),
        pytest.param("a.b.c", id="parts of one character"),
        pytest.param("", id="empty"),
        pytest.param("\ud800", id="half a character"),
    ],
)
def test_anything_else_is_refused(token: str) -> None:
    """Only three parts with HS256, no extensions, a JSON object and our secret pass."""
    with pytest.raises(jws.InvalidSignature):
        jws.verify_hs256(token, SECRET)


def test_a_public_key_is_no_secret() -> None:
    """A token signed by RS256 does not pass where its public key is known as text."""
    token = jws.sign_rs256({}, CLAIMS, rsa_key())

    with pytest.raises(jws.InvalidSignature, match="HS256"):
        jws.verify_hs256(token, public_pem(rsa_key()))


def test_a_signature_has_one_spelling() -> None:
    """The two spare bits of the last character are not free to choose."""
    token = jws.sign_hs256({}, CLAIMS, SECRET)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]

    with pytest.raises(jws.InvalidSignature, match="base64url"):
        jws.verify_hs256(twin, SECRET)


def test_an_empty_secret_opens_nothing() -> None:
    """Anybody can sign with no secret, so no token is genuine under it."""
    with pytest.raises(jws.InvalidSignature, match="no secret"):
        jws.verify_hs256(jws.sign_hs256({}, CLAIMS, ""), "")


@given(st.text() | st.lists(st.binary().map(part), min_size=3, max_size=3).map(".".join))
def test_reading_raises_nothing_but_invalid_signature(token: str) -> None:
    """Whatever the text, verify_hs256 says InvalidSignature."""
    with pytest.raises(jws.InvalidSignature):
        jws.verify_hs256(token, SECRET)


@given(st.binary(), st.binary())
def test_signed_rubbish_raises_nothing_but_invalid_signature(header: bytes, claims: bytes) -> None:
    """A right signature over anything but JSON objects does not help it."""
    with pytest.raises(jws.InvalidSignature):
        jws.verify_hs256(signed(header, claims), SECRET)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(PrivateFormat.PKCS8, id="PKCS 8, as Apple gives it"),
        pytest.param(PrivateFormat.TraditionalOpenSSL, id="SEC 1, as openssl writes it"),
    ],
)
def test_p256_keys_are_loaded(form: PrivateFormat) -> None:
    """A P-256 private key in either PEM form is the key."""
    key = jws.load_p256_private_key(pem(p256(), form=form))

    assert p256().private_numbers() == key.private_numbers()


def test_rsa_keys_are_loaded() -> None:
    """An RSA private key in PEM form is the key."""
    assert rsa_key().private_numbers() == jws.load_rsa_private_key(pem(rsa_key())).private_numbers()


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), "secp384r1", id="P-384"),
        pytest.param(pem(rsa_key()), "not an elliptic curve key", id="RSA"),
        pytest.param(public_pem(p256()), "public key", id="public key"),
        pytest.param(
            pem(p256(), encryption=BestAvailableEncryption(b"password")),
            "encrypted",
            id="encrypted",
        ),
        pytest.param("-----BEGIN PRIVATE KEY-----\n", "not a private key", id="cut short"),
        pytest.param("garbage", "not a private key", id="garbage"),
        pytest.param("\ud800", "not a private key", id="half a character"),
        pytest.param("", "not a private key", id="empty"),
    ],
)
def test_other_keys_are_no_p256_key(text: str, message: str) -> None:
    """What cannot sign ES256 is refused, and the refusal says what it is."""
    with pytest.raises(ValueError, match=message):
        jws.load_p256_private_key(text)


@pytest.mark.parametrize(
    "text, message",
    [
        pytest.param(pem(p256()), "not an RSA key", id="P-256"),
        pytest.param(pem(ed25519.Ed25519PrivateKey.generate()), "not an RSA key", id="Ed25519"),
        pytest.param(pem(rsa_key(1024)), "1024 bits", id="RSA of 1,024 bits"),
        pytest.param(public_pem(rsa_key()), "public key", id="public key"),
        pytest.param(
            pem(rsa_key(), encryption=BestAvailableEncryption(b"password")),
            "encrypted",
            id="encrypted",
        ),
        pytest.param("garbage", "not a private key", id="garbage"),
    ],
)
def test_other_keys_are_no_rsa_key(text: str, message: str) -> None:
    """What cannot sign RS256 is refused, and the refusal says what it is."""
    with pytest.raises(ValueError, match=message):
        jws.load_rsa_private_key(text)


@given(st.text())
def test_any_text_can_be_tried_as_a_key(text: str) -> None:
    """A text that is no key is a ValueError and nothing else."""
    with pytest.raises(ValueError):
        jws.load_p256_private_key(text)
