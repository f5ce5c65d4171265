"""
Signed tokens: JWS in its compact form (RFC 7515 §7.1) over a JSON object of claims.

Three algorithms, each with one use: ES256 (APNs provider tokens, VAPID), RS256
(Google's OAuth assertions), HS256 (Beams tokens, signed by our customers). Only
HS256 is read here, and the algorithm is ours to choose, never the token's.

HS256 is written out rather than left to a JOSE library because a secret of any
length that a customer holds must work, without warnings about its size.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

MIN_RSA_BITS: Final = 2048
"""The smallest RSA key that may sign RS256 (RFC 7518 §3.3)."""

_COMPACT: Final = re.compile(r"(([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+))\.([A-Za-z0-9_-]+)")
"""Signing input (header, claims) and signature; no padding, no white space."""


class InvalidSignature(ValueError):  # noqa: N818  (reads as what it says about the token)
    """A token is malformed, or was not signed with this secret; the message says which."""


def sign_es256(
    header: Mapping[str, object],
    claims: Mapping[str, object],
    key: ec.EllipticCurvePrivateKey,
) -> str:
    """
    A token signed with ECDSA on P-256; ``alg`` is added to the header.

    The one thing here that is not repeatable: ECDSA draws a number of its own for
    each signature, inside the library.
    """
    text = _signing_input("ES256", header, claims)
    r, s = decode_dss_signature(key.sign(text, ec.ECDSA(SHA256())))
    # RFC 7518 §3.4: the two numbers side by side, not the DER that libraries return.
    return _compact(text, r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def sign_rs256(
    header: Mapping[str, object],
    claims: Mapping[str, object],
    key: rsa.RSAPrivateKey,
) -> str:
    """A token signed with RSASSA-PKCS1-v1_5; ``alg`` is added to the header."""
    text = _signing_input("RS256", header, claims)
    return _compact(text, key.sign(text, padding.PKCS1v15(), SHA256()))


def sign_hs256(header: Mapping[str, object], claims: Mapping[str, object], secret: str) -> str:
    """A token signed with HMAC under the UTF-8 bytes of a secret; ``alg`` is added."""
    text = _signing_input("HS256", header, claims)
    return _compact(text, hmac.digest(secret.encode(), text, "sha256"))


def verify_hs256(token: str, secret: str) -> dict[str, object]:
    """
    The claims of a token that whoever holds the secret has signed.

    The claims are not judged: whether they have expired is the caller's question.

    Args:
        token: Three parts of unpadded base64url. The header's ``alg`` must be
            ``HS256``, and it must have no ``crit``: we understand no extensions
            (RFC 7515 §4.1.11).
        secret: Its UTF-8 bytes are the key; it is never decoded. Not empty.

    Raises:
        InvalidSignature: Anything at all is wrong with the token. Nothing else is
            raised.
    """
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise InvalidSignature("a token is three parts of base64url")
    text, header_part, claims_part, signature_part = parts.groups()
    header = _read_object(header_part)
    if header.get("alg") != "HS256":
        raise InvalidSignature("the algorithm is not HS256")
    if "crit" in header:
        raise InvalidSignature("the header has extensions that we do not know")
    if not secret:
        raise InvalidSignature("there is no secret to check it with")
    expected = hmac.digest(secret.encode(), text.encode(), "sha256")
    if not hmac.compare_digest(expected, _read_base64url(signature_part)):
        raise InvalidSignature("the signature does not match")
    return _read_object(claims_part)


def load_p256_private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """
    The key in a PEM file such as Apple's ``AuthKey_….p8``.

    Raises:
        ValueError: It is not an unencrypted private key on P-256; the message says
            what it is instead, and repeats nothing of it.
    """
    match load_private_key(pem):
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()) as key:
            return key
        case ec.EllipticCurvePrivateKey(curve=curve):
            raise ValueError(f"the key is on the curve {curve.name}; ES256 needs one on P-256")
        case _:
            raise ValueError("the key is not an elliptic curve key; ES256 needs one on P-256")


def load_rsa_private_key(pem: str) -> rsa.RSAPrivateKey:
    """
    The key in a PEM text such as a Google service account's ``private_key``.

    Raises:
        ValueError: It is not an unencrypted RSA private key of at least 2,048 bits;
            the message says what it is instead, and repeats nothing of it.
    """
    match load_private_key(pem):
        case rsa.RSAPrivateKey(key_size=bits) as key if bits >= MIN_RSA_BITS:
            return key
        case rsa.RSAPrivateKey(key_size=bits):
            raise ValueError(f"the RSA key has {bits} bits; RS256 needs {MIN_RSA_BITS}")
        case _:
            raise ValueError("the key is not an RSA key; RS256 needs one")


def load_private_key(pem: str) -> PrivateKeyTypes:
    """
    The key in a PEM text, of whatever kind.

    Raises:
        ValueError: It is not an unencrypted private key; the message repeats nothing of it.
    """
    if "PUBLIC KEY-----" in pem:
        raise ValueError("this is a public key; a private key is needed")
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError as error:  # how the library says that a password is missing
        raise ValueError("the private key is encrypted; it must have no password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("this is not a private key in PEM form") from error


def base64url(data: bytes) -> str:
    """Bytes in the URL-safe alphabet without padding (RFC 7515 §2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _signing_input(
    algorithm: str, header: Mapping[str, object], claims: Mapping[str, object]
) -> bytes:
    parts = ({**header, "alg": algorithm}, dict(claims))
    return ".".join(base64url(msgspec.json.encode(part)) for part in parts).encode()


def _compact(text: bytes, signature: bytes) -> str:
    return f"{text.decode()}.{base64url(signature)}"


def _read_object(part: str) -> dict[str, object]:
    try:
        return msgspec.json.decode(_read_base64url(part), type=dict[str, object])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidSignature("a part of the token is not a JSON object") from error


def _read_base64url(part: str) -> bytes:
    """
    Exactly what ``base64url`` writes, read back.

    A last character with bits to spare would let one token be spelt several ways.
    """
    try:
        data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError as error:
        raise InvalidSignature("a part of the token is not base64url") from error
    if base64url(data) != part:
        raise InvalidSignature("a part of the token is not base64url")
    return data
