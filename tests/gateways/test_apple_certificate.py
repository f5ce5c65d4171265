"""Provider certificates: what they say, whose key they are, and how they come in a .p12 file."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gateways.apple_certificate import (
    Facts,
    check_key,
    facts,
    from_pkcs12,
)
from heliograph.model import Environment

APP = "com.example.app"
FROM = datetime(2026, 1, 1, tzinfo=UTC)
TO = FROM + timedelta(days=396)
BOTH = frozenset(Environment)
KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER_KEY = ec.derive_private_key(8, ec.SECP256R1())

DEVELOPMENT = ("1.2.840.113635.100.6.3.1", b"\x05\x00")
PRODUCTION = ("1.2.840.113635.100.6.3.2", b"\x05\x00")
TOPICS = "1.2.840.113635.100.6.3.6"

LISTED = bytes.fromhex(
    "3033"
    "0c0f636f6d2e6578616d706c652e617070"  # com.example.app
    "30050c03617070"  # app
    "0c14636f6d2e6578616d706c652e6170702e766f6970"  # com.example.app.voip
    "30030c0161"  # a
)
"""Two topics with their kinds of push, written down byte by byte."""


def certificate(
    uid: str | None = APP,
    marks: Sequence[tuple[str, bytes]] = (),
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = KEY,
) -> str:
    """A certificate with these marks of Apple's."""
    name = [] if uid is None else [x509.NameAttribute(NameOID.USER_ID, uid)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(name))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(FROM)
        .not_valid_after(TO)
    )
    for oid, value in marks:
        mark = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
        builder = builder.add_extension(mark, critical=False)
    return builder.sign(OTHER_KEY, SHA256()).public_bytes(Encoding.PEM).decode()


def pem_of(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> str:
    form = (Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return key.private_bytes(*form).decode()


# --- what it says --------------------------------------------------------------------


@pytest.mark.parametrize(
    "marks, environments",
    [
        ([DEVELOPMENT], {Environment.SANDBOX}),
        ([PRODUCTION], {Environment.PRODUCTION}),
        ([DEVELOPMENT, PRODUCTION], BOTH),
        ([], BOTH),
        ([(TOPICS, LISTED)], BOTH),
    ],
    ids=["development", "production", "both", "neither", "listed"],
)
def test_environments(marks: list[tuple[str, bytes]], environments: set[Environment]) -> None:
    """Apple marks where a certificate is good; one without marks is not second-guessed."""
    assert environments == facts(certificate(marks=marks)).environments


def test_a_certificate_for_one_app() -> None:
    """The bundle id is the subject's UID."""
    assert Facts((APP,), False, BOTH, FROM, TO) == facts(certificate())


def test_a_certificate_that_lists_its_topics() -> None:
    """The bundle id comes first, each topic once, and none of the kinds of push."""
    read = facts(certificate(marks=[(TOPICS, LISTED)]))

    assert ((APP, f"{APP}.voip"), True) == (read.topics, read.names_topics)


def test_a_certificate_without_a_topic() -> None:
    """Whoever has one like that has to say what it is for."""
    assert () == facts(certificate(None)).topics


@given(st.binary(max_size=60) | st.integers(0, len(LISTED)).map(lambda end: LISTED[:end]))
def test_a_list_in_another_form_tells_nothing_wrong(value: bytes) -> None:
    """Apple has not published the list's form: reading it never fails, and keeps the bundle id."""
    read = facts(certificate(marks=[(TOPICS, value)]))

    assert (APP, True) == (read.topics[0], read.names_topics)


def test_intermediates_may_follow() -> None:
    """The first certificate is the one that counts."""
    chain = certificate() + certificate("com.example.authority")

    assert (APP,) == facts(chain).topics


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "not a certificate in PEM form"),
        ("nonsense", "not a certificate in PEM form"),
        ("\ud800", "not a certificate in PEM form"),
        (certificate().replace("MII", "MIX"), "not a certificate in PEM form"),
        (certificate() + pem_of(KEY), "holds a private key"),
    ],
    ids=["empty", "nonsense", "surrogate", "damaged", "key"],
)
def test_what_is_no_certificate_is_refused(text: str, problem: str) -> None:
    """The message says what was found, and repeats nothing of it."""
    with pytest.raises(ValueError, match=problem) as caught:
        facts(text)
    assert "BEGIN" not in str(caught.value)


# --- whose key -----------------------------------------------------------------------


def test_its_own_key_is_accepted() -> None:
    """Apple takes RSA and elliptic keys."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)

    check_key(certificate(), pem_of(KEY))
    check_key(certificate(key=key), pem_of(key))


@pytest.mark.parametrize(
    "key, problem",
    [
        (pem_of(OTHER_KEY), "does not belong to the certificate"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "neither an RSA nor"),
        (pem_of(KEY, BestAvailableEncryption(b"secret")), "is encrypted"),
        ("nonsense", "not a private key in PEM form"),
        (certificate(), "not a private key in PEM form"),
    ],
    ids=["other", "ed25519", "encrypted", "nonsense", "certificate"],
)
def test_another_key_is_refused(key: str, problem: str) -> None:
    """The message says why, and repeats nothing of the key."""
    with pytest.raises(ValueError, match=problem) as caught:
        check_key(certificate(), key)
    assert [] == [line for line in key.splitlines()[1:-1] if line in str(caught.value)]


# --- PKCS #12 ------------------------------------------------------------------------


def p12(
    password: str = "",
    key: ec.EllipticCurvePrivateKey | None = KEY,
    chain: Sequence[str] = (),
) -> bytes:
    loaded = [x509.load_pem_x509_certificate(each.encode()) for each in (certificate(), *chain)]
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    own = loaded[0] if key else None
    return pkcs12.serialize_key_and_certificates(
        b"app", key, own, loaded[1:] if key else loaded, encryption
    )


@pytest.mark.parametrize("password", ["", "sésame"], ids=["open", "locked"])
def test_a_p12_file_is_opened(password: str) -> None:
    """Certificate and key come out in PEM, with the certificates that lead to the authority."""
    parent = certificate("com.example.authority")

    chain, key = from_pkcs12(p12(password, chain=[parent]), password)

    assert (certificate_lines(certificate()) + certificate_lines(parent), pem_of(KEY)) == (
        certificate_lines(chain),
        key,
    )


def certificate_lines(pem: str) -> list[bytes]:
    """Each certificate, in DER, without the random part: its signature."""
    return [each.tbs_certificate_bytes for each in x509.load_pem_x509_certificates(pem.encode())]


@pytest.mark.parametrize(
    "data, password, problem",
    [
        (b"", "", "not PKCS #12"),
        (b"nonsense", "", "not PKCS #12"),
        (p12("right"), "wrong", "the password is wrong"),
        (p12("right"), "", "the password is wrong"),
        (p12("right"), "\ud800", "the password is wrong"),
        (p12(key=None), "", "certificate with its private key"),
    ],
    ids=["empty", "nonsense", "wrong", "none", "surrogate", "keyless"],
)
def test_a_p12_file_that_does_not_open_is_refused(data: bytes, password: str, problem: str) -> None:
    """What is missing is said: the right password, the right file, or the key in it."""
    with pytest.raises(ValueError, match=problem):
        from_pkcs12(data, password)
