"""
Firebase Cloud Messaging's HTTP v1 API.

Source: "Method: projects.messages.send", "FcmError", and recorded answers. Errors have the shape
of google.rpc.Status; the decisive code is in the detail of type ``FcmError``.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

from heliograph.sandbox import oauth
from heliograph.sandbox.devices import Device, Devices, Platform
from heliograph.sandbox.exchange import MAX_BODY_BYTES, Gateway, Request
from heliograph.sandbox.fcm_message import (
    MAX_PAYLOAD_BYTES,
    Violation,
    message_of,
    payload_bytes,
    validate_only,
    violations,
)
from heliograph.sandbox.inbox import Inbox
from heliograph.sandbox.oauth import Grant, TokenEndpoint
from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.sandbox.session import Accepted, Connection, Refused, Verdict, plain_fault
from heliograph.wire.http import HttpResponse

STREAMS: Final = 100
"""Streams per connection that Google allows."""

TOKEN_PATH: Final = "/token"  # noqa: S105 - a path
_SEND_PATH: Final = re.compile(r"/v1/projects/(?P<project>[^/]+)/messages:send")
_REGISTRATION_TOKEN: Final = re.compile(r"[\w-]{8,64}:[\w-]{100,400}", re.ASCII)

_JSON: Final = (("content-type", "application/json; charset=UTF-8"),)
_FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"
_ERROR_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
_QUOTA_FAILURE: Final = "type.googleapis.com/google.rpc.QuotaFailure"

_INVALID: Final = "Request contains an invalid argument."
_UNAUTHENTICATED: Final = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
    "or other valid authentication credential."
)

_STATUS_NAME: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}

Detail = dict[str, object]


@dataclass(slots=True)
class Fcm:
    """The service: it knows one project and the devices of the sandbox."""

    project_id: str
    token_endpoint: TokenEndpoint
    devices: Devices
    inbox: Inbox
    gateway: Literal[Gateway.FCM] = Gateway.FCM

    def opening_streams(self, _connection: Connection) -> int:
        """Always `STREAMS`."""
        return STREAMS

    def earned_streams(self, _connection: Connection) -> int:
        """Always `STREAMS`."""
        return STREAMS

    def check(self, request: Request, _connection: Connection, now: datetime) -> Verdict:
        """Judge a send, or a request for an access token."""
        if request.path == TOKEN_PATH:
            return self.token_endpoint.check(request, now)
        path = _SEND_PATH.fullmatch(request.path)
        if path is None or request.method != "POST":
            return _no_such_page()
        scheme, _, access_token = (request.header("authorization") or "").partition(" ")
        known = scheme.lower() == "bearer"
        grant = self.token_endpoint.grant_of(access_token, now) if known else None
        refusal = _unauthorized(grant) or self._forbidden(path["project"])
        return refusal or self._check_body(request, now)

    def fault_response(
        self, gateway: Gateway, fault: Fault, _request: Request, _now: datetime
    ) -> HttpResponse:
        """Google's answer when this goes wrong."""
        if gateway is Gateway.OAUTH:
            return oauth.fault_response(fault)
        return plain_fault(fault) or _fault_answer(fault)

    def _forbidden(self, project: str) -> Refused | None:
        if project == self.project_id:
            return None
        return _refused(
            403,
            "Permission 'cloudmessaging.messages.create' denied on resource "
            f"'//cloudresourcemanager.googleapis.com/projects/{project}' (or it may not exist).",
            _info("IAM_PERMISSION_DENIED"),
        )

    def _check_body(self, request: Request, now: datetime) -> Verdict:
        try:
            envelope = msgspec.json.decode(request.body)
        except msgspec.DecodeError:
            wrong = "Invalid JSON payload received."
            return _refused(400, _INVALID if _overflows(request) else wrong)
        if wrong_fields := violations(envelope):
            return _invalid(wrong_fields)
        message = message_of(envelope)
        if payload_bytes(message) > MAX_PAYLOAD_BYTES:
            return _refused(400, _INVALID)  # Google names no cause here
        return self._check_target(request, message, now, dry_run=validate_only(envelope))

    def _check_target(
        self, request: Request, message: dict[str, object], now: datetime, *, dry_run: bool
    ) -> Verdict:
        token = message.get("token")
        device = None
        if isinstance(token, str) and token:
            if not _REGISTRATION_TOKEN.fullmatch(token):
                return _invalid([Violation("message.token", "Invalid registration token")])
            device = self.devices.get(Platform.FCM, token)
            if device is None or device.gone_since is not None:
                return Refused(Gateway.FCM, _unregistered(), "UNREGISTERED")
        return self._acceptance(request, device, message, now, dry_run=dry_run)

    def _acceptance(
        self,
        request: Request,
        device: Device | None,
        message: dict[str, object],
        now: datetime,
        *,
        dry_run: bool,
    ) -> Accepted:
        """Messages to topics and conditions are accepted, and reach nobody."""

        def deliver() -> None:
            if device is not None and not dry_run:
                headers = request.headers_without_secrets()
                self.inbox.record(device, headers=headers, payload=message, now=now)

        message_id = "fake_message_id" if dry_run else f"0:{secrets.randbits(53)}%{_hex()}"
        name = f"projects/{self.project_id}/messages/{message_id}"
        response = HttpResponse(200, _JSON, msgspec.json.encode({"name": name}))
        return Accepted(Gateway.FCM, response, deliver, device.names if device else ())


def _hex() -> str:
    return secrets.token_hex(8)


def _overflows(request: Request) -> bool:
    return len(request.body) >= MAX_BODY_BYTES


def _unauthorized(grant: Grant | None) -> Refused | None:
    if grant is None:
        return _refused(401, _UNAUTHENTICATED)
    if not grant.may_send:
        return _refused(
            403,
            "Request had insufficient authentication scopes.",
            _info("ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
        )
    return None


def _no_such_page() -> Refused:
    html = b"<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n"
    response = HttpResponse(404, (("content-type", "text/html; charset=UTF-8"),), html)
    return Refused(Gateway.FCM, response, "NOT_FOUND")


def _refused(status: int, message: str, *details: Detail) -> Refused:
    response = _error(status, message, *details)
    return Refused(Gateway.FCM, response, _STATUS_NAME[status])


def _invalid(wrong: list[Violation]) -> Refused:
    found = [{"field": each.field, "description": each.description} for each in wrong]
    of_token = wrong[0].field == "message.token"
    return _refused(
        400,
        _INVALID if of_token else wrong[0].description,
        {"@type": _BAD_REQUEST, "fieldViolations": found},
        _code("INVALID_ARGUMENT"),
    )


def _unregistered() -> HttpResponse:
    return _error(404, "Requested entity was not found.", _code("UNREGISTERED"))


def _fault_answer(fault: Fault) -> HttpResponse:
    match fault.fault:
        case FaultName.UNREGISTERED:
            return _unregistered()
        case FaultName.BAD_TOKEN:
            return _invalid([Violation("message.token", "Invalid registration token")]).response
        case FaultName.WRONG_SENDER:
            return _error(403, "SenderId mismatch", _code("SENDER_ID_MISMATCH"))
        case FaultName.TOO_MANY_REQUESTS:
            return _error(429, "Quota exceeded.", _code("QUOTA_EXCEEDED"), _quota())
        case FaultName.UNAVAILABLE:
            unavailable = "The service is currently unavailable."
            return _error(503, unavailable, _code(fault.reason or "UNAVAILABLE"))
        case FaultName.EXPIRED_CREDENTIALS:
            return _error(401, _UNAUTHENTICATED)
        case FaultName.INVALID_CREDENTIALS:
            third_party = "Auth error from APNS or Web Push Service"
            return _error(401, third_party, _code("THIRD_PARTY_AUTH_ERROR"))
        case FaultName.PAYLOAD_TOO_LARGE:
            return _error(400, _INVALID)
        case FaultName.ANSWER:
            details = () if fault.reason is None else (_code(fault.reason),)
            return _error(fault.status or 500, fault.reason or "", *details)
        case _:
            return _error(500, "Internal error encountered.", _code("INTERNAL"))


def _error(status: int, message: str, *details: Detail) -> HttpResponse:
    name = _STATUS_NAME.get(status, "UNKNOWN")
    error: dict[str, object] = {"code": status, "message": message, "status": name}
    if details:
        error["details"] = details
    return HttpResponse(status, _JSON, msgspec.json.encode({"error": error}))


def _code(error_code: str) -> Detail:
    return {"@type": _FCM_ERROR, "errorCode": error_code}


def _info(reason: str) -> Detail:
    return {"@type": _ERROR_INFO, "reason": reason, "domain": "googleapis.com"}


def _quota() -> Detail:
    violation = {"subject": "project", "description": "Messages per minute"}
    return {"@type": _QUOTA_FAILURE, "violations": [violation]}
