"""
What the settings of each platform hold (contract §6).

Each reader makes two things of what was put: what is kept and told back, and what something is
sent with. No key and no password is among the first.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from heliograph.api.ibm import icons
from heliograph.api.ibm.forms import Form
from heliograph.api.ibm.problems import invalid
from heliograph.api.ibm.unlock import LONGEST_KEY as LONGEST_PRIVATE_KEY
from heliograph.api.ibm.unlock import Unlock
from heliograph.api.ibm.values import boolean_or_word, filled_text, name
from heliograph.api.problems import Problem
from heliograph.errors import InvalidInput
from heliograph.gateways import apple_certificate
from heliograph.model import (
    ApnsCertificate,
    ApnsCredentials,
    ApnsIdentity,
    FcmCredentials,
    ServiceAccount,
)
from heliograph.wire.http import url_problem

_LONGEST_KEY: Final = 8192
_LONGEST_NAME: Final = 254
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_USUAL_PORTS: Final = {"https": 443, "http": 80}
_GOOGLE: Final = (".googleapis.com", ".accounts.google.com")
_WEBSITE_PUSH: Final = "web."


async def read_apns(form: Form, unlock: Unlock) -> tuple[ApnsIdentity, dict[str, Any]]:
    """
    A .p12 with its password; or a .p8 with ``keyId``, ``teamId`` and ``bundleId``, our names.

    ``isSandBox`` is told back and no more: which of Apple's hosts knows a token is found out by
    sending.

    Raises:
        Problem: 400.
    """
    file = form.file("certificate")
    is_sandbox = boolean_or_word("isSandBox", form.texts.get("isSandBox", "false").lower())
    kept = {"certificate": _NAME("certificate", file.name), "isSandBox": is_sandbox}
    # IBM's Go SDK gives every file the same name.
    if file.name.lower().endswith(".p8") or file.content.lstrip().startswith(b"-----BEGIN"):
        key = ApnsCredentials(
            key=_text_of("certificate", file.content),
            key_id=form.text("keyId"),
            team_id=form.text("teamId"),
            topic=form.text("bundleId"),
        )
        said = {"keyId": key.key_id, "teamId": key.team_id, "bundleId": key.topic}
        return key, kept | said
    certificate = await _from_pkcs12(form, unlock, topic=form.texts.get("bundleId"))
    return certificate, kept | _validity(certificate)


async def read_safari(form: Form, unlock: Unlock) -> tuple[ApnsCertificate, dict[str, Any]]:
    """
    The certificate of a Website Push ID, and what Safari shows of the site.

    Raises:
        Problem: 400.
    """
    push_id = form.text("websitePushID")
    if not push_id.startswith(_WEBSITE_PUSH):
        raise invalid("websitePushID", "it must begin with web., as Apple gives them")
    address = form.text("urlFormatString")
    if url_problem(address):
        raise invalid("urlFormatString", "it must be an http address, with %@ for each argument")
    kept = {
        "certificate": _NAME("certificate", form.file("certificate").name),
        "websiteName": _NAME("websiteName", form.text("websiteName")),
        "urlFormatString": address,
        "websitePushID": _NAME("websitePushID", push_id),
        "webSiteUrl": _origin("webSiteUrl", form.text("webSiteUrl")),
    }
    certificate = await _from_pkcs12(form, unlock, topic=push_id)
    return certificate, kept | _validity(certificate)


def read_icons(form: Form) -> bytes | None:
    """
    The icons of a form, as they are kept, ours where one is missing; None if it has none.

    Raises:
        Problem: 400: one of them is none.
    """
    brought = {each: form.files[each].content for each in icons.SIZES if each in form.files}
    for each, content in brought.items():
        if found := icons.problem_of(content, icons.SIZES[each]):
            raise invalid(each, found)
    if not brought:
        return None
    return msgspec.json.encode(
        {each: brought.get(each) or icons.sun(size) for each, size in icons.SIZES.items()}
    )


def read_google(body: Mapping[str, Any]) -> tuple[FcmCredentials | None, dict[str, Any]]:
    """
    A sender's number, and a key: a service account's JSON, or one of Google's older server keys.

    The older ones open nothing any more; they are kept and told back, for clients compare them.
    A service account sends, and is told back by its name.

    Raises:
        Problem: 400.
    """
    key = _key(body.get("apiKey"))
    sender: str = _NAME("senderId", body.get("senderId"))
    if not key.lstrip().startswith("{"):
        return None, {"apiKey": key, "senderId": sender}
    try:
        account = msgspec.json.decode(key, type=ServiceAccount)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise invalid("apiKey", "it must be the JSON of a service account, or a key") from None
    if len(account.private_key) > LONGEST_PRIVATE_KEY:
        rule = f"its private_key must have at most {LONGEST_PRIVATE_KEY} characters"
        raise invalid("apiKey", rule)
    if not _is_of_google(account.token_uri):
        # We would ask there for a token, and who puts settings may not lead us into our network.
        raise invalid("apiKey", "its token_uri must be an https address of Google's")
    return FcmCredentials(account), {"apiKey": account.client_email, "senderId": sender}


def read_site(body: Mapping[str, Any], *, has_key: bool) -> dict[str, Any]:
    """
    The origin of the web site that the instance is for; Chrome's setting has a key besides.

    The key is Google's older one, which web push does not need.

    Raises:
        Problem: 400.
    """
    site = _origin("webSiteUrl", filled_text("webSiteUrl", body.get("webSiteUrl")))
    if not has_key:
        return {"webSiteUrl": site}
    key = body.get("apiKey")
    return {"apiKey": "" if key is None else _key(key), "webSiteUrl": site}


def told_of_apns(
    kept: Mapping[str, Any] | None, identity: ApnsIdentity | None
) -> Mapping[str, Any] | None:
    """
    What is told of APNs credentials, which the operator may have put or taken away since.

    Args:
        kept: What was put here; None: nothing.
        identity: What is sent with; None: nothing, whatever was put here.
    """
    if identity is None:
        return None
    if kept is not None and _facts(identity).items() <= kept.items():
        return kept
    return {"certificate": "", "isSandBox": False} | _facts(identity)


def invalid_credential(found: InvalidInput, path: str) -> Problem:
    """A mistake in a credential, by the name that its parameter has in the setting at a path."""
    names = {
        "key": "certificate",
        "topic": "websitePushID" if path == "safariWebConf" else "bundleId",
        "key_id": "keyId",
        "team_id": "teamId",
    }
    field = "apiKey" if found.field.startswith("service_account") else found.field
    return invalid(names.get(field, field), found.problem)


async def _from_pkcs12(form: Form, unlock: Unlock, *, topic: str | None) -> ApnsCertificate:
    content, password = form.file("certificate").content, form.texts.get("password", "")
    try:
        certificate, key = await unlock(content, password)
        topics = apple_certificate.facts(certificate).topics
    except ValueError as problem:
        raise invalid("certificate", str(problem)) from None
    if not topic and not topics:
        raise invalid("bundleId", "it is required, for the certificate does not name it")
    return ApnsCertificate(certificate, key, topic or topics[0])


def _facts(identity: ApnsIdentity) -> dict[str, str]:
    """What is told of credentials and stands in them."""
    if isinstance(identity, ApnsCertificate):
        return _validity(identity)
    return {"keyId": identity.key_id, "teamId": identity.team_id, "bundleId": identity.topic}


def _key(value: Any) -> str:
    key = filled_text("apiKey", value)
    if len(key) > _LONGEST_KEY:
        raise invalid("apiKey", f"it must have at most {_LONGEST_KEY} characters")
    return key


def _is_of_google(address: str) -> bool:
    if url_problem(address):
        return False
    parts = urlsplit(address)
    return parts.scheme == "https" and f".{parts.hostname}".endswith(_GOOGLE)


def _validity(certificate: ApnsCertificate) -> dict[str, str]:
    expires_at = apple_certificate.facts(certificate.certificate).expires_at
    return {"validUntil": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}"}


def _text_of(parameter: str, content: bytes) -> str:
    if len(content) > LONGEST_PRIVATE_KEY:
        raise invalid(parameter, f"a .p8 must have at most {LONGEST_PRIVATE_KEY} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise invalid(parameter, "it must be a .p12, or a .p8 in PEM") from None


def _origin(parameter: str, address: str) -> str:
    """The origin of an address: scheme, host and port, as browsers name it (RFC 6454 §6.2)."""
    if url_problem(address):
        raise invalid(parameter, "it must be an https address (http on localhost)")
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port
    if not _HOST.fullmatch(host) or (parts.scheme == "http" and host not in _LOCAL):
        raise invalid(parameter, "it must be an https address (http on localhost)")
    written = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == _USUAL_PORTS[parts.scheme]
    return f"{parts.scheme}://{written}" + ("" if is_usual else f":{port}")


_NAME: Final = name(_LONGEST_NAME)
_HOST: Final = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
