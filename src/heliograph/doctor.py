"""
``heliograph doctor``: whether everything that a publish will need is as it should be.

Credentials are tried for real: Apple is sent a message for a device that does not
exist, and the way in which it is refused tells whether the key was accepted.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy.exc import SQLAlchemyError

from heliograph.app import check_vapid_subject, now, outgoing, storage
from heliograph.config import Settings, variable
from heliograph.errors import ConfigurationError, TransportError
from heliograph.gateways import apns, apple_certificate
from heliograph.gateways.contract import Outcome, Sent, Suspect
from heliograph.instances import Instance
from heliograph.model import (
    ApnsCertificate,
    ApnsCredentials,
    ApnsIdentity,
    ApnsMessage,
    Environment,
    Gateway,
    PauseKind,
)
from heliograph.pipeline.couriers.apns import destination
from heliograph.storage.lanes import Paused
from heliograph.transport.client import Client
from heliograph.transport.tokens import AccessTokens

_GOOD_TOKEN_LENGTH: Final = 16
_NO_DEVICE: Final = "0" * 64
_NO_MESSAGE: Final = b"00000000-0000-8000-8000-000000000000"
_RENEWAL: Final = timedelta(days=30)
"""How long before its end a certificate is worth a warning."""
_NAMES: Final = {Gateway.APNS: "APNs", Gateway.FCM: "FCM", Gateway.WEB: "web push"}
_EXAMPLE_SUBJECT: Final = Settings().vapid_subject


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    grade: Literal["ok", "warning", "fault"]
    sentence: str


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what was found, in the order in which it was looked at."""
    findings = [_subject(settings), _admin(settings)]
    try:
        async with storage(settings) as (database, instances), outgoing(settings) as client:
            findings.append(Finding("database", "ok", f"at revision {await database.revision()}"))
            every = await instances.every()
            if not every:
                findings.append(
                    Finding("instances", "warning", "none yet: heliograph instance create NAME")
                )
            for instance in every:
                findings += [each async for each in _credentials(instance, client)]
                paused = await instances.paused_lanes(instance.number)
                findings += [judge_lane(instance.name, each) for each in paused]
    except ConfigurationError as problem:
        findings.append(Finding("database", "fault", str(problem)))
    except (OSError, SQLAlchemyError) as problem:
        findings.append(Finding("database", "fault", f"cannot be opened: {problem}"))
    return findings


def judge_certificate(subject: str, credentials: ApnsCertificate, *, now: datetime) -> Finding:
    """
    What a certificate says of itself: until when it is good, and where.

    Apple's are good for a year, and a token never expires: nobody is used to renewing.
    """
    facts = apple_certificate.facts(credentials.certificate)
    end = f"{facts.expires_at:%Y-%m-%d}"
    if facts.expires_at <= now:
        return Finding(subject, "fault", f"the certificate expired on {end}")
    if facts.expires_at - now < _RENEWAL:
        return Finding(subject, "warning", f"the certificate expires on {end}: renew it")
    if Environment.PRODUCTION not in facts.environments:
        return Finding(subject, "warning", "the certificate reaches apps in development only")
    return Finding(subject, "ok", f"the certificate is good until {end}")


def judge_lane(instance: str, paused: Paused) -> Finding:
    """What it means that a lane is paused: only a refusal is for the operator to mend."""
    way = " ".join([_NAMES[paused.lane.gateway], *filter(None, [paused.lane.environment])])
    return Finding(
        f"{instance}: {way} lane",
        "fault" if paused.kind is PauseKind.REFUSED else "warning",
        f"paused since {paused.paused_at:%Y-%m-%d %H:%M} UTC ({paused.kind}): {paused.reason}; "
        f"tried again at {paused.probe_at:%H:%M:%S}",
    )


def _subject(settings: Settings) -> Finding:
    name = variable("vapid_subject")
    try:
        check_vapid_subject(settings)
    except ConfigurationError as problem:
        return Finding("web push", "fault", str(problem))
    if settings.vapid_subject == _EXAMPLE_SUBJECT:
        return Finding("web push", "warning", f"set {name} to an address of yours")
    return Finding("web push", "ok", f"push services reach you at {settings.vapid_subject}")


def _admin(settings: Settings) -> Finding:
    name = variable("admin_token")
    if settings.admin_token is None:
        return Finding("admin API", "warning", f"closed; {name} opens it")
    if len(settings.admin_token) < _GOOD_TOKEN_LENGTH:
        return Finding("admin API", "warning", f"{name} is short enough to guess")
    return Finding("admin API", "ok", "open to whoever bears the admin token")


async def _credentials(instance: Instance, client: Client) -> AsyncIterator[Finding]:
    match instance.apns:
        case None:
            yield Finding(f"{instance.name}: APNs", "warning", "no credentials")
        case ApnsCredentials() as key:
            yield _judged(f"{instance.name}: APNs", await _try_apns(key, client))
        case ApnsCertificate() as certificate:
            finding = judge_certificate(f"{instance.name}: APNs", certificate, now=now())
            tried = _judged(finding.subject, await _try_apns(certificate, client))
            yield finding if tried.grade == "ok" else tried
    if instance.fcm is None:
        yield Finding(f"{instance.name}: FCM", "warning", "no credentials")
    else:
        token = await AccessTokens(client, now).current(instance.fcm)
        yield _judged(f"{instance.name}: FCM", Sent() if isinstance(token, str) else token)


async def _try_apns(credentials: ApnsIdentity, client: Client) -> Outcome | str:
    """Sent to a device that is none, accepted credentials earn BadDeviceToken."""
    token = None
    if isinstance(credentials, ApnsCredentials):
        token = apns.provider_token(credentials, now=now())
    message = ApnsMessage(payload=b'{"aps":{}}', push_type="background", priority=5)
    origin, prefix = apns.place(credentials, apns.home(credentials))
    template = apns.template(
        message,
        origin=origin,
        topic=apns.topic(message, credentials.topic),
        token=token,
    )
    values = apns.values(prefix, [_NO_DEVICE], [_NO_MESSAGE])
    (response,) = await client.exchange(destination(credentials, origin), template, values)
    if isinstance(response, TransportError):
        return f"cannot be reached: {response}"
    outcome = apns.outcome(response, now=now())
    is_accepted = isinstance(outcome, Suspect) and outcome.reason == apns.WRONG_ENVIRONMENT
    return Sent() if is_accepted else outcome


def _judged(subject: str, outcome: Outcome | str) -> Finding:
    if isinstance(outcome, Sent):
        return Finding(subject, "ok", "the credentials are accepted")
    if isinstance(outcome, str):
        return Finding(subject, "fault", outcome)
    return Finding(subject, "fault", f"{type(outcome).__name__.lower()}: {outcome.reason}")
