"""
Google's token endpoint for service accounts: a signed assertion in, an access token out.

Source: "Using OAuth 2.0 for Server to Server Applications" and RFC 7523.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qs

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from heliograph.sandbox.exchange import Gateway, Request
from heliograph.sandbox.scenario import Fault, FaultName
from heliograph.sandbox.session import Accepted, Refused, Verdict, plain_fault
from heliograph.sandbox.signed_token import BadTokenError, SignedToken
from heliograph.wire.http import HttpResponse

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLES_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
"""The audience that Google's own libraries name, whatever the account's ``token_uri``."""

EXPIRES_IN: Final = 3599
"""Life of an access token in seconds, as Google states it."""

MAX_ASSERTION_LIFE: Final = timedelta(hours=1)
CLOCK_LEEWAY: Final = timedelta(minutes=1)

SCOPE_PREFIX: Final = "https://www.googleapis.com/auth/"
MESSAGING_SCOPES: Final = frozenset(
    SCOPE_PREFIX + name for name in ("firebase.messaging", "cloud-platform")
)
"""Any one of these lets its bearer send messages."""

_JSON: Final = (("content-type", "application/json; charset=utf-8"), ("cache-control", "no-store"))
_TIMEFRAME: Final = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token is good for."""

    expires_at: datetime
    may_send: bool


class _RefusedGrantError(Exception):
    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(slots=True)
class TokenEndpoint:
    """``POST /token`` for one service account."""

    client_email: str
    private_key_id: str
    public_key: rsa.RSAPublicKey
    token_uri: str
    _grants: dict[str, Grant] = field(default_factory=dict)

    def grant_of(self, access_token: str, now: datetime) -> Grant | None:
        """What this token is good for; None if it is not ours or has expired."""
        grant = self._grants.get(access_token)
        return grant if grant is not None and now < grant.expires_at else None

    def check(self, request: Request, now: datetime) -> Verdict:
        """Judge a token request."""
        if request.method != "POST":
            return _refusal("method_not_allowed", "Use POST.", status=405)
        try:
            may_send = self._verified(request.body, now)
        except _RefusedGrantError as refusal:
            return _refusal(refusal.error, refusal.description)
        access_token = f"ya29.c.{secrets.token_urlsafe(90)}"

        def deliver() -> None:
            self._forget_expired(now)
            expires_at = now + timedelta(seconds=EXPIRES_IN)
            self._grants[access_token] = Grant(expires_at, may_send)

        body = {"access_token": access_token, "expires_in": EXPIRES_IN, "token_type": "Bearer"}
        response = HttpResponse(200, _JSON, msgspec.json.encode(body))
        return Accepted(Gateway.OAUTH, response, deliver)

    def _verified(self, body: bytes, now: datetime) -> bool:
        """Whether a good assertion asks for the right to send; raises if it is not good."""
        form = parse_qs(body.decode("utf-8", "replace"))
        grant_type = form.get("grant_type", [""])[0]
        if grant_type != JWT_BEARER:
            raise _RefusedGrantError("unsupported_grant_type", f"Invalid grant_type: {grant_type}")
        token = self._signed(form.get("assertion", [""])[0])
        if token.claims.get("aud") not in {self.token_uri, GOOGLES_TOKEN_URI}:
            raise _RefusedGrantError("invalid_grant", "Invalid JWT: Failed audience check.")
        issued_at, expires_at = token.number("iat"), token.number("exp")
        if issued_at is None or expires_at is None or not _timely(issued_at, expires_at, now):
            raise _RefusedGrantError("invalid_grant", _TIMEFRAME)
        scopes = set(str(token.claims.get("scope", "")).split())
        if not scopes or not all(scope.startswith(SCOPE_PREFIX) for scope in scopes):
            raise _RefusedGrantError(
                "invalid_scope", "Invalid OAuth scope or ID token audience provided."
            )
        return bool(scopes & MESSAGING_SCOPES)

    def _signed(self, assertion: str) -> SignedToken:
        try:
            token = SignedToken.parse(assertion)
        except BadTokenError:
            raise _RefusedGrantError("invalid_request", "Could not parse the assertion.") from None
        if token.claims.get("iss") != self.client_email:
            raise _RefusedGrantError("invalid_grant", "Invalid grant: account not found")
        signed_by_us = token.header.get("kid", self.private_key_id) == self.private_key_id
        try:
            token.verify_rs256(self.public_key)
        except BadTokenError:
            signed_by_us = False
        if not signed_by_us:
            raise _RefusedGrantError("invalid_grant", "Invalid JWT Signature.")
        return token

    def _forget_expired(self, now: datetime) -> None:
        expired = [token for token, grant in self._grants.items() if grant.expires_at <= now]
        for token in expired:
            del self._grants[token]


def fault_response(fault: Fault) -> HttpResponse:
    """What the endpoint answers when this goes wrong."""
    if plain := plain_fault(fault):
        return plain
    match fault.fault:
        case FaultName.ANSWER:
            return _error(fault.status or 500, fault.reason or "server_error", "")
        case FaultName.TOO_MANY_REQUESTS:
            return _error(429, "rate_limit_exceeded", "Too many requests.")
        case FaultName.UNAVAILABLE:
            return _error(503, "temporarily_unavailable", "The service is unavailable.")
        case FaultName.INTERNAL_ERROR:
            return _error(500, "internal_failure", "An internal error occurred.")
        case _:
            return _error(400, "invalid_grant", "Invalid JWT Signature.")


def _timely(issued_at: float, expires_at: float, now: datetime) -> bool:
    seconds, leeway = now.timestamp(), CLOCK_LEEWAY.total_seconds()
    return (
        issued_at <= seconds + leeway
        and seconds - leeway < expires_at
        and 0 < expires_at - issued_at <= MAX_ASSERTION_LIFE.total_seconds()
    )


def _refusal(error: str, description: str, *, status: int = 400) -> Refused:
    return Refused(Gateway.OAUTH, _error(status, error, description), error)


def _error(status: int, error: str, description: str) -> HttpResponse:
    body = {"error": error, "error_description": description}
    return HttpResponse(status, _JSON, msgspec.json.encode(body))
