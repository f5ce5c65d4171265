"""
APNs credentials as the operator gives them to us, and as they are shown.

Three forms, told apart by a field that only one of them has: ``p12`` for what Keychain
exports, ``certificate`` for the same in PEM, and otherwise a signing key.
"""

from typing import Any, TypeVar

import msgspec

from heliograph.api.problems import Problem
from heliograph.errors import InvalidInput
from heliograph.gateways import apple_certificate
from heliograph.model import ApnsCertificate, ApnsCredentials, ApnsIdentity

_Body = TypeVar("_Body")


class _Certificate(msgspec.Struct):
    certificate: str
    key: str
    topic: str | None = None
    endpoint: str | None = None
    ca: str | None = None
    sandbox_endpoint: str | None = None


class _Pkcs12(msgspec.Struct):
    p12: bytes
    """In base64."""
    password: str = ""
    topic: str | None = None
    endpoint: str | None = None
    ca: str | None = None
    sandbox_endpoint: str | None = None


def convert(body: dict[str, Any], kind: type[_Body]) -> _Body:
    """
    A body as a typed value.

    Raises:
        Problem: It has another form; 422, with the field's name.
    """
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as problem:
        raise Problem(422, "Unprocessable Entity", str(problem)) from None


def read_apns(body: dict[str, Any]) -> ApnsIdentity:
    """
    The body of ``PUT …/credentials/apns``; a topic that it leaves out is the certificate's.

    Raises:
        Problem: It is in none of the three forms.
        InvalidInput: The certificate cannot be read, or names no topic.
    """
    if "p12" in body:
        file = convert(body, _Pkcs12)
        try:
            certificate, key = apple_certificate.from_pkcs12(file.p12, file.password)
        except ValueError as problem:
            raise InvalidInput("p12", str(problem)) from None
        return _with_topic(file, certificate, key)
    if "certificate" in body:
        given = convert(body, _Certificate)
        return _with_topic(given, given.certificate, given.key)
    return convert(body, ApnsCredentials)


def _with_topic(given: _Certificate | _Pkcs12, certificate: str, key: str) -> ApnsCertificate:
    return ApnsCertificate(
        certificate=certificate,
        key=key,
        topic=_topic(certificate) if given.topic is None else given.topic,
        endpoint=given.endpoint,
        ca=given.ca,
        sandbox_endpoint=given.sandbox_endpoint,
    )


def _topic(certificate: str) -> str:
    try:
        facts = apple_certificate.facts(certificate)
    except ValueError as problem:
        raise InvalidInput("certificate", str(problem)) from None
    if not facts.topics:
        raise InvalidInput("topic", "the certificate does not name one; say which it is for")
    return facts.topics[0]


def describe_apns(credentials: ApnsIdentity) -> dict[str, Any]:
    """What may be shown of some credentials: nothing that opens anything."""
    shared = {
        "topic": credentials.topic,
        "endpoint": credentials.endpoint,
        "sandbox_endpoint": credentials.sandbox_endpoint,
    }
    match credentials:
        case ApnsCredentials(key_id=key_id, team_id=team_id):
            return {"kind": "key", "key_id": key_id, "team_id": team_id} | shared
        case ApnsCertificate(certificate=certificate):
            facts = apple_certificate.facts(certificate)
            return {
                "kind": "certificate",
                "topics": facts.topics,
                "environments": sorted(facts.environments),
                "expires_at": facts.expires_at,
            } | shared
