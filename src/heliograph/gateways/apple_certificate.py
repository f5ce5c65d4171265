"""
Provider certificates: the older way to prove to Apple who is sending.

What a certificate is for stands in it. Its subject's UID is the app's bundle id; the
marks of Apple's that follow say more.
https://developer.apple.com/documentation/usernotifications/establishing-a-certificate-based-connection-to-apns
http://www.apple.com/certificateauthority/Apple_WWDR_CPS
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from heliograph.model import Environment
from heliograph.wire import jws

TOKEN_ONLY_PUSH_TYPES: Final = frozenset({"location", "liveactivity"})
"""
Push types that Apple takes with a provider token only.

``location``: "supports only token-based authentication" (Sending notification requests
to APNs). ``liveactivity``: https://developer.apple.com/forums/thread/712499. Of those
that came later (pushtotalk, widgets, controls) Apple does not say; it answers for itself.
"""

_DEVELOPMENT: Final = x509.ObjectIdentifier("1.2.840.113635.100.6.3.1")
_PRODUCTION: Final = x509.ObjectIdentifier("1.2.840.113635.100.6.3.2")
_TOPICS: Final = x509.ObjectIdentifier("1.2.840.113635.100.6.3.6")
"""On certificates for both environments: a list of the topics, each with its kinds of push."""

_SEQUENCE, _UTF8_STRING = 0x30, 0x0C
_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says of itself."""

    topics: tuple[str, ...]
    """What it may send to, the app's bundle id first; empty if it does not say."""
    names_topics: bool
    """It lists its topics, so that every request must name one (MissingTopic)."""
    environments: frozenset[Environment]
    """Where its messages are taken; elsewhere the answer is BadCertificateEnvironment."""
    valid_from: datetime
    expires_at: datetime


@lru_cache(maxsize=_REMEMBERED)
def facts(certificate: str) -> Facts:
    """
    What the first certificate in a PEM text says.

    Raises:
        ValueError: There is none, or it cannot be read.
    """
    leaf = _leaf(certificate)
    try:
        marks = {extension.oid: extension.value for extension in leaf.extensions}
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as problem:
        raise ValueError("what the certificate says of itself cannot be read") from problem
    listed = marks.get(_TOPICS)
    uid = [str(each.value) for each in leaf.subject.get_attributes_for_oid(NameOID.USER_ID)]
    names = _topics(listed.value) if isinstance(listed, x509.UnrecognizedExtension) else []
    return Facts(
        topics=tuple(dict.fromkeys([*uid, *names])),
        names_topics=listed is not None,
        environments=_environments(_DEVELOPMENT in marks, _PRODUCTION in marks),
        valid_from=leaf.not_valid_before_utc,
        expires_at=leaf.not_valid_after_utc,
    )


def check_key(certificate: str, key: str) -> None:
    """
    Refuse a private key that is not the certificate's.

    Raises:
        ValueError: The key is none, is encrypted, or belongs to another certificate; the
            message repeats nothing of it.
    """
    private = jws.load_private_key(key)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("the key is neither an RSA nor an elliptic curve key")  # noqa: TRY004  (a caller's mistake)
    try:
        is_its_own = private.public_key() == _leaf(certificate).public_key()
    except UnsupportedAlgorithm:
        is_its_own = False
    if not is_its_own:
        raise ValueError("the key does not belong to the certificate")


def from_pkcs12(data: bytes, password: str) -> tuple[str, str]:
    """
    Certificates and key of a .p12 file, as Keychain exports them, both in PEM.

    Args:
        data: The file.
        password: Empty if it has none.

    Raises:
        ValueError: It cannot be opened, or one of the two is missing.
    """
    try:
        bundle = pkcs12.load_pkcs12(data, password.encode() or None)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as problem:
        raise ValueError("this is not PKCS #12, or the password is wrong") from problem
    if bundle.cert is None or bundle.key is None:
        raise ValueError("the file must hold a certificate with its private key")
    chain = [bundle.cert, *bundle.additional_certs]
    pem = b"".join(each.certificate.public_bytes(Encoding.PEM) for each in chain)
    key = bundle.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode(), key.decode()


def _leaf(certificate: str) -> x509.Certificate:
    if "PRIVATE KEY-----" in certificate:
        raise ValueError("this holds a private key, which has a field of its own")
    try:
        return x509.load_pem_x509_certificates(certificate.encode())[0]
    except ValueError as problem:
        raise ValueError("this is not a certificate in PEM form") from problem


def _environments(is_development: bool, is_production: bool) -> frozenset[Environment]:
    """One that bears neither mark, such as a certificate of MDM, is taken at its word."""
    marked = {Environment.SANDBOX: is_development, Environment.PRODUCTION: is_production}
    named = frozenset(each for each, is_marked in marked.items() if is_marked)
    return named or frozenset(Environment)


def _topics(der: bytes) -> list[str]:
    """
    The topics in Apple's list: a sequence in which each is followed by its kinds of push.

    A list of another form tells nothing: Apple has not published this one.
    """
    try:
        ((tag, body),) = _elements(der)
        if tag != _SEQUENCE:
            return []
        return [text.decode() for kind, text in _elements(body) if kind == _UTF8_STRING]
    except ValueError:
        return []


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and contents of each element (ITU-T X.690 §8.1), raising ValueError at nonsense."""
    while der:
        if len(der) < 2:  # noqa: PLR2004  (a tag and a length)
            raise ValueError("an element was cut off")
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[2:start], "big")
        if start + length > len(der):
            raise ValueError("an element was cut off")
        yield tag, der[start : start + length]
        der = der[start + length :]
