import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from heliograph.sandbox import Authority
from heliograph.sandbox.devices import AppleEnvironment
from heliograph.sandbox.provider_certificate import BOTH, Provider, issue, read, usual_topics

APP = "com.example.app"


def der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("environments", [BOTH, *(frozenset({each}) for each in BOTH), frozenset()])
def test_environments(authority: Authority, environments: frozenset[AppleEnvironment]) -> None:
    """A certificate is marked for the environments where it is good."""
    certificate, _ = issue(authority, APP, environments=environments)

    assert Provider((APP,), lists_topics=False, environments=environments) == read(der(certificate))


def test_list_of_topics(authority: Authority) -> None:
    """A certificate may list its topics; the bundle id comes first, and none twice."""
    certificate, _ = issue(authority, APP, topics=usual_topics(APP) | {"x" * 200: ["app"]})

    assert Provider(
        (APP, f"{APP}.voip", f"{APP}.complication", "x" * 200),
        lists_topics=True,
        environments=BOTH,
    ) == read(der(certificate))


def test_server_certificate_is_for_no_topic(authority: Authority) -> None:
    """What vouches for a server of the sandbox vouches for no app."""
    chain, _ = authority.server_certificate()

    assert Provider((), lists_topics=False, environments=frozenset()) == read(der(chain))


def test_certificate_is_the_authoritys(authority: Authority) -> None:
    """Its signature is that of the root which the sandbox shows."""
    certificate, key = issue(authority, APP)
    root = x509.load_pem_x509_certificate(authority.ca_pem.encode())

    x509.load_pem_x509_certificate(certificate.encode()).verify_directly_issued_by(root)
    assert key.startswith("-----BEGIN PRIVATE KEY-----")
