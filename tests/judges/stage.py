"""What every judge looks at: a sandbox with a device at each of its services."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from heliograph.sandbox import Authority, Sandbox
from heliograph.sandbox.devices import Device, Platform
from heliograph.sandbox.scenario import Fault, Plan

GOOGLES_HOSTS: Final = ("fcm.googleapis.com", "iamcredentials.googleapis.com")
"""The names that Google's client has built in and compares with the certificate."""


class GooglesAuthority(Authority):
    """An authority that vouches for Google's names too."""

    def server_context(self, *names: str, alpn: Sequence[str]) -> ssl.SSLContext:
        return super().server_context(*names, *GOOGLES_HOSTS, alpn=alpn)


class Stage:
    """A sandbox with its devices, as a judge's test sees it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.apns, self.fcm, self.web = (
            sandbox.devices.mint(platform, now=datetime.now(UTC))
            for platform in (Platform.APNS, Platform.FCM, Platform.WEB)
        )

    def fail(self, *faults: Fault) -> None:
        """Let requests that are good meet these faults."""
        self.sandbox.scenario.follow(Plan(faults=faults))

    def payloads(self, device: Device) -> list[object]:
        """What this device received, oldest first."""
        return [entry.read()["payload"] for entry in self.sandbox.inbox.entries(device)]
