"""What credentials must be before they are kept. Pure."""

from datetime import datetime

from cryptography import x509

from heliograph.errors import InvalidInput
from heliograph.gateways import apple_certificate
from heliograph.model import ApnsCertificate, ApnsCredentials, ApnsIdentity, FcmCredentials
from heliograph.wire import jws
from heliograph.wire.http import url_problem


def check(credentials: ApnsIdentity | FcmCredentials | None, *, now: datetime) -> None:
    """
    Refuse credentials that no gateway would take.

    Raises:
        InvalidInput: A key is none, a name is missing, or a certificate is out of date, for
            another topic, or not the key's.
    """
    match credentials:
        case None:
            return
        case FcmCredentials():
            _check_fcm(credentials)
            return
        case ApnsCredentials():
            _check_apns(credentials)
            _check_signing_key(credentials)
        case ApnsCertificate():
            _check_apns(credentials)
            _check_certificate(credentials, now=now)


def check_url(field_name: str, url: str) -> None:
    """Refuse what is no address that HTTP knows."""
    if problem := url_problem(url):
        raise InvalidInput(field_name, problem)


def _check_word(field_name: str, value: str) -> None:
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidInput(field_name, "must be a non-empty ASCII word")


def _check_apns(credentials: ApnsIdentity) -> None:
    _check_word("topic", credentials.topic)
    _check_server(credentials.endpoint, credentials.ca)
    if credentials.sandbox_endpoint is not None:
        check_url("sandbox_endpoint", credentials.sandbox_endpoint)


def _check_fcm(credentials: FcmCredentials) -> None:
    account = credentials.service_account
    for name in ("project_id", "client_email", "private_key_id"):
        _check_word(f"service_account.{name}", getattr(account, name))
    _check_server(credentials.endpoint, credentials.ca)
    check_url("service_account.token_uri", account.token_uri)
    try:
        jws.load_rsa_private_key(account.private_key)
    except ValueError as problem:
        raise InvalidInput("service_account.private_key", str(problem)) from None


def _check_signing_key(credentials: ApnsCredentials) -> None:
    for name in ("key_id", "team_id"):
        _check_word(name, getattr(credentials, name))
    try:
        jws.load_p256_private_key(credentials.key)
    except ValueError as problem:
        raise InvalidInput("key", str(problem)) from None


def _check_certificate(credentials: ApnsCertificate, *, now: datetime) -> None:
    try:
        facts = apple_certificate.facts(credentials.certificate)
    except ValueError as problem:
        raise InvalidInput("certificate", str(problem)) from None
    if facts.expires_at <= now:
        raise InvalidInput("certificate", f"expired on {facts.expires_at:%Y-%m-%d}")
    if facts.valid_from > now:
        raise InvalidInput("certificate", f"is not valid before {facts.valid_from:%Y-%m-%d}")
    if facts.topics and credentials.topic not in facts.topics:
        raise InvalidInput("topic", f"the certificate is for {', '.join(facts.topics)}")
    try:
        apple_certificate.check_key(credentials.certificate, credentials.key)
    except ValueError as problem:
        raise InvalidInput("key", str(problem)) from None


def _check_server(endpoint: str | None, ca: str | None) -> None:
    if endpoint is not None:
        check_url("endpoint", endpoint)
    if ca is not None:
        try:
            x509.load_pem_x509_certificates(ca.encode())
        except ValueError:
            raise InvalidInput("ca", "must be certificates in PEM") from None
