"""
Provider certificates: how a server without a provider token proves to Apple who it is.

They are issued by the sandbox's own authority, in the form of Apple's: the bundle id in
the subject's UID, a mark for each environment, and a list of topics with what each is
for. Apple has not published the form of that list; this one is that of its certificates
for both environments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from heliograph.sandbox.authority import Authority
from heliograph.sandbox.devices import AppleEnvironment

BOTH: Final = frozenset(AppleEnvironment)

_MARKS: Final = {
    AppleEnvironment.SANDBOX: x509.ObjectIdentifier("1.2.840.113635.100.6.3.1"),
    AppleEnvironment.PRODUCTION: x509.ObjectIdentifier("1.2.840.113635.100.6.3.2"),
}
_TOPIC_LIST: Final = x509.ObjectIdentifier("1.2.840.113635.100.6.3.6")
_NULL: Final = b"\x05\x00"
_SEQUENCE, _UTF8_STRING = 0x30, 0x0C

_ALWAYS: Final = (datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC))
"""Like the other certificates of the sandbox, whose clock may be any."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom a certificate vouches for."""

    topics: tuple[str, ...]
    """What may be sent to, the app's bundle id first; empty for a certificate of another kind."""
    lists_topics: bool
    """Each request has to say which of them it means."""
    environments: frozenset[AppleEnvironment]


@lru_cache(maxsize=64)
def read(der: bytes) -> Provider:
    """Whom a certificate vouches for that our authority has signed."""
    certificate = x509.load_der_x509_certificate(der)
    marks = {each.oid: each.value for each in certificate.extensions}
    topics = [str(each.value) for each in certificate.subject.get_attributes_for_oid(_UID)]
    listed = marks.get(_TOPIC_LIST)
    if isinstance(listed, x509.UnrecognizedExtension):
        topics += _read_list(listed.value)
    return Provider(
        topics=tuple(dict.fromkeys(topics)),
        lists_topics=listed is not None,
        environments=frozenset(each for each, oid in _MARKS.items() if oid in marks),
    )


def issue(
    authority: Authority,
    topic: str | None,
    *,
    environments: frozenset[AppleEnvironment] = BOTH,
    topics: Mapping[str, Sequence[str]] | None = None,
    valid: tuple[datetime, datetime] = _ALWAYS,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
) -> tuple[str, str]:
    """
    Issue a certificate to an app's server.

    Args:
        authority: Who signs it.
        topic: The app's bundle id; None leaves the UID out.
        environments: Where it is good; none leaves both marks out.
        topics: The list of topics, each with what it is for; None leaves the list out.
        valid: From when to when.
        key: The server's; a new one unless given.

    Returns:
        The certificate and the private key, both PEM.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    root = x509.load_pem_x509_certificate(authority.ca_pem.encode())
    signer = load_pem_private_key(authority.private_key_pem.encode(), None)
    assert isinstance(signer, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)  # noqa: S101  (our authority's)
    uid = [] if topic is None else [x509.NameAttribute(_UID, topic)]
    name = x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {topic}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*uid, name]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
    )
    for environment in environments:
        mark = x509.UnrecognizedExtension(_MARKS[environment], _NULL)
        builder = builder.add_extension(mark, critical=False)
    if topics is not None:
        listed = x509.UnrecognizedExtension(_TOPIC_LIST, _write_list(topics))
        builder = builder.add_extension(listed, critical=False)
    certificate = builder.sign(signer, SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()


def usual_topics(bundle_id: str) -> dict[str, list[str]]:
    """What Apple's certificates for both environments list."""
    return {
        bundle_id: ["app"],
        f"{bundle_id}.voip": ["voip"],
        f"{bundle_id}.complication": ["complication"],
    }


_UID: Final = NameOID.USER_ID


def _write_list(topics: Mapping[str, Sequence[str]]) -> bytes:
    """Each topic, and after it the kinds of push it is for (ITU-T X.690 §8)."""
    body = b""
    for topic, kinds in topics.items():
        body += _element(_UTF8_STRING, topic.encode())
        body += _element(_SEQUENCE, b"".join(_element(_UTF8_STRING, k.encode()) for k in kinds))
    return _element(_SEQUENCE, body)


def _element(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:  # noqa: PLR2004  (the short form)
        return bytes((tag, size)) + body
    digits = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(digits))) + digits + body


def _read_list(der: bytes) -> list[str]:
    outer = next(_elements(der))[1]
    return [body.decode() for tag, body in _elements(outer) if tag == _UTF8_STRING]


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(der):
        tag, size, at = der[at], der[at + 1], at + 2
        if size >= 0x80:  # noqa: PLR2004  (the long form)
            digits = size - 0x80
            size, at = int.from_bytes(der[at : at + digits]), at + digits
        yield tag, der[at : at + size]
        at += size
