"""
What every sender sends: the same notification, to as many devices as it is told.

A task is JSON on the standard input of a sender, because some are not written in
Python. What differs from device to device is the token: it stands for ``%TOKEN%`` in
the path and the body, and is the number of the device, counted from 0, as 64 hex digits
behind ``token_prefix``.
"""

import secrets
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from heliograph.model import Gateway, WebAddress
from heliograph.sandbox.authority import Authority
from heliograph.wire import ece, vapid
from heliograph.wire.jws import base64url

HOLE: Final = "%TOKEN%"

STREAMS: Final = 500
"""Requests under way at once, of senders that let us choose."""

TOPIC: Final = "com.example.app"
SUBJECT: Final = "mailto:operator@example.com"
PROJECT: Final = "example"

TEXT: Final = "x" * 160
APNS_PAYLOAD: Final = f'{{"aps":{{"alert":{{"title":"Hello","body":"{TEXT}"}}}}}}'
FCM_MESSAGE: Final = f'{{"notification":{{"title":"Hello","body":"{TEXT}"}}}}'
WEB_PAYLOAD: Final = f'{{"notification":{{"title":"Hello","body":"{TEXT}"}}}}'

_PROVIDER_TOKEN: Final = "x" * 223
_ACCESS_TOKEN: Final = "ya29." + "x" * 200


@dataclass(frozen=True, slots=True)
class Task:
    """What one sender is to do in one round."""

    gateway: Gateway
    origin: str
    count: int
    """Notifications that are measured; one more goes before, which connects."""
    ca_file: str
    browsers_file: str
    """For Web Push: a JSON list of ``p256dh`` and ``auth``, as many as devices."""
    vapid_private: str
    vapid_public: str
    key_pem: str
    """The same key, in PEM; it serves as Apple's, too."""
    path: str
    body: str
    headers: tuple[tuple[str, str], ...]
    token_prefix: str = ""
    streams: int = STREAMS
    variant: str = ""
    """Which of a program's ways to send is meant, if it has several."""
    topic: str = TOPIC
    subject: str = SUBJECT

    def tokens(self) -> list[str]:
        """The device that connects, then those that count."""
        return [f"{self.token_prefix}{number:064x}" for number in range(self.count + 1)]


@dataclass(frozen=True, slots=True)
class Report:
    """What a sender says when it is done."""

    sent: int
    """Notifications measured; each was answered as it should be."""
    requests: int
    """Those and all others: as many as the sink must have seen."""
    cpu_seconds: float
    """User and system, of the whole process, for those measured."""
    wall_seconds: float
    peak_bytes: int
    """The most memory that the process had resident, from its beginning."""


@dataclass(frozen=True, slots=True)
class _Shared:
    path: str
    body: str
    headers: tuple[tuple[str, str], ...]
    token_prefix: str = ""


_SHARED: Final = {
    Gateway.APNS: _Shared(
        f"/3/device/{HOLE}",
        APNS_PAYLOAD,
        (
            ("authorization", f"bearer {_PROVIDER_TOKEN}"),
            ("apns-topic", TOPIC),
            ("apns-push-type", "alert"),
            ("apns-priority", "10"),
            ("apns-expiration", "0"),
        ),
    ),
    Gateway.FCM: _Shared(
        f"/v1/projects/{PROJECT}/messages:send",
        f'{{"message":{{"token":"{HOLE}",{FCM_MESSAGE[1:]}}}',
        (("authorization", f"Bearer {_ACCESS_TOKEN}"), ("content-type", "application/json")),
        "f" * 22 + ":APA91b" + "x" * 70,
    ),
    Gateway.WEB: _Shared(f"/wpush/v2/{HOLE}", WEB_PAYLOAD, (("ttl", "2419200"),), "g" * 80),
}


class Workshop:
    """A folder with what the tasks of one run have in common."""

    def __init__(self, folder: Path, *, browsers: int) -> None:
        """Make certificates, a key, and the keys of as many browsers."""
        authority = Authority()
        chain, key = authority.server_certificate()
        self.certificate = folder / "server.pem"
        self.certificate.write_text(chain + key)
        self._ca = folder / "ca.pem"
        self._ca.write_text(authority.ca_pem)
        self._browsers = folder / "browsers.json"
        self._browsers.write_bytes(msgspec.json.encode([_browser() for _ in range(browsers)]))
        self._keys = vapid.key_pair(secrets.token_bytes(32))

    def to_trust(self) -> dict[str, str]:
        """The settings of a server that is to send to browsers of ours."""
        return {
            "HELIOGRAPH_EXTRA_CA_FILE": str(self._ca),
            "HELIOGRAPH_EGRESS_ALLOW": "127.0.0.0/8",
            "HELIOGRAPH_WEB_PUSH_PROCESSES": "0",
        }

    def subscriptions(self, origin: str) -> list[WebAddress]:
        """Where our browsers are reached, and with which keys."""
        pairs: list[dict[str, str]] = msgspec.json.decode(self._browsers.read_bytes())
        return [
            WebAddress(
                f"{origin}/wpush/v2/{number:080x}",
                _decoded(pair["p256dh"]),
                _decoded(pair["auth"]),
            )
            for number, pair in enumerate(pairs)
        ]

    def task(self, gateway: Gateway, origin: str, count: int, *, variant: str = "") -> Task:
        """A task of this run."""
        shared = _SHARED[gateway]
        pem = ece.private_key_of(self._keys.private_key).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        return Task(
            gateway=gateway,
            origin=origin,
            count=count,
            ca_file=str(self._ca),
            browsers_file=str(self._browsers),
            vapid_private=base64url(self._keys.private_key),
            vapid_public=base64url(self._keys.public_key),
            key_pem=pem.decode(),
            path=shared.path,
            body=shared.body,
            headers=shared.headers,
            token_prefix=shared.token_prefix,
            variant=variant,
        )


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _browser() -> dict[str, str]:
    point = ece.public_key_bytes(ec.generate_private_key(ec.SECP256R1()))
    return {"p256dh": base64url(point), "auth": base64url(secrets.token_bytes(16))}
