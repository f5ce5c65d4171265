"""Signatures of webhooks, judged by the libraries that check them."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from heliograph.wire.signatures import sha1_hex, standard_headers

BODY = b'{"payload":{}}'
SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()


def test_the_older_signature_is_that_of_the_body() -> None:
    """The vector of RFC 2202 §3, test case 2."""
    assert "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79" == sha1_hex(
        "Jefe", b"what do ya want for nothing?"
    )


def verified(secret: str, fields: dict[str, str], body: bytes) -> object:
    """What a customer does: hand the library our fields, under the names that it knows."""
    said: object = Webhook(secret).verify(
        body,
        {
            "webhook-id": fields["webhook-id"],
            "webhook-timestamp": fields["webhook-timestamp"],
            "webhook-signature": fields["webhook-signature-256"],
        },
    )
    return said


def test_the_standard_library_takes_it() -> None:
    """Standard Webhooks' own library verifies a call that is a moment old."""
    now = datetime.now(UTC)

    fields = dict(standard_headers(SECRET, "call-1", BODY, at=now))

    assert {"payload": {}} == verified(SECRET, fields, BODY)


@pytest.mark.parametrize(
    "spoilt", ["body", "webhook-id", "webhook-timestamp", "webhook-signature-256"]
)
def test_the_standard_library_refuses_what_was_changed(spoilt: str) -> None:
    """Each of body, id, time and signature is covered."""
    now = datetime.now(UTC)
    fields, body = dict(standard_headers(SECRET, "call-1", BODY, at=now)), BODY
    if spoilt == "body":
        body = b"{}"
    elif spoilt == "webhook-timestamp":
        fields[spoilt] = str(int((now - timedelta(seconds=1)).timestamp()))
    else:
        fields[spoilt] = fields[spoilt][:-4] + "AAA="

    with pytest.raises(WebhookVerificationError):
        verified(SECRET, fields, body)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_any_other_secret_is_the_key_itself(secret: str) -> None:
    """A text that is no ``whsec_`` secret signs by its own bytes."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    signed = b"call-1.1767312000." + BODY
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()

    if not secret.startswith("whsec_"):
        fields = dict(standard_headers(secret, "call-1", BODY, at=at))
        assert f"v1,{base64.b64encode(digest).decode()}" == fields["webhook-signature-256"]
