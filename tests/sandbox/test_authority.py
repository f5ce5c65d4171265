import ssl

from cryptography import x509

from heliograph.sandbox import Authority


def names_in(chain: str) -> set[str]:
    certificate = x509.load_pem_x509_certificate(chain.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    }


def test_certificates_are_for_loopback(authority: Authority) -> None:
    """Every server certificate names loopback, and what is asked for besides."""
    chain, key = authority.server_certificate("sandbox.internal")

    assert {"127.0.0.1", "::1", "localhost", "sandbox.internal"} == names_in(chain)
    assert "PRIVATE KEY" in key


def test_authority_survives_in_pem(authority: Authority) -> None:
    """An authority made from its own PEM vouches for servers under the same root."""
    again = Authority.from_pem(authority.ca_pem, authority.private_key_pem)
    issued = x509.load_pem_x509_certificate(again.server_certificate()[0].encode())
    root = x509.load_pem_x509_certificate(authority.ca_pem.encode())

    assert authority.ca_pem == again.ca_pem
    issued.verify_directly_issued_by(root)


def test_clients_trust_this_authority_only(authority: Authority) -> None:
    """A client context holds one root."""
    context = authority.client_context()

    assert ssl.CERT_REQUIRED == context.verify_mode
    assert {"x509": 1, "crl": 0, "x509_ca": 1} == context.cert_store_stats()
