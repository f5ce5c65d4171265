"""The sandbox's own certificate authority: it vouches for loopback and for nothing else."""

import ssl
from collections.abc import Sequence
from typing import Final, Self

import trustme

LOOPBACK_NAMES: Final = ("127.0.0.1", "::1", "localhost")
"""The subject names every server certificate carries."""


class Authority:
    """A certificate authority in memory, new unless an earlier one is given."""

    def __init__(self, ca: trustme.CA | None = None) -> None:
        self._ca = ca or trustme.CA(organization_name="Heliograph sandbox")

    @classmethod
    def from_pem(cls, certificate: str, private_key: str) -> Self:
        """
        The authority whose `ca_pem` and `private_key_pem` these are.

        Raises:
            ValueError: if they are not a certificate and a key in PEM.
        """
        return cls(trustme.CA.from_pem(certificate.encode(), private_key.encode()))

    @property
    def ca_pem(self) -> str:
        """The root certificate clients are to trust."""
        return self._ca.cert_pem.bytes().decode()

    @property
    def private_key_pem(self) -> str:
        """The root's private key, for `from_pem`."""
        return self._ca.private_key_pem.bytes().decode()

    def server_certificate(self, *names: str) -> tuple[str, str]:
        """
        Issue a certificate for a server.

        Args:
            names: Host names and IP addresses besides `LOOPBACK_NAMES`.

        Returns:
            The certificate chain and the private key, both PEM.
        """
        leaf = self._issue(names)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return chain.decode(), leaf.private_key_pem.bytes().decode()

    def server_context(self, *names: str, alpn: Sequence[str]) -> ssl.SSLContext:
        """A TLS 1.2+ server context with a fresh certificate, offering these protocols."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(list(alpn))
        self._issue(names).configure_cert(context)
        return context

    def ask_for_certificates(self, context: ssl.SSLContext) -> None:
        """Let clients of a server show a certificate; one that is shown must be from here."""
        context.verify_mode = ssl.CERT_OPTIONAL
        self._ca.configure_trust(context)

    def client_context(self) -> ssl.SSLContext:
        """A client context that trusts this authority only."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        return context

    def _issue(self, names: Sequence[str]) -> trustme.LeafCert:
        return self._ca.issue_cert(*dict.fromkeys((*LOOPBACK_NAMES, *names)))
