"""
The requests that IBM's SDKs send, byte for byte (§13). Pure.

Names go into paths, queries and, on iOS, bodies as they are: no SDK of IBM's escapes them
(§2.7), and so a name with a slash or a quotation mark breaks what it is put into.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from heliograph.client.ibm.profiles import Profile

PREFIX: Final = "imfpush/v1/apps"


@dataclass(frozen=True, slots=True)
class Registration:
    """What a device says about itself."""

    device_id: str
    token: str
    user_id: str | None = None
    """None: nothing is said of a user."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """For the templates of notifications; the web SDK does not send them (§3.1)."""
    is_vapid: bool = False
    """Whether the browser subscribed with the server's key."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Writes one SDK's requests to one server, for one app."""

    base_url: str
    app_guid: str
    client_secret: str = field(repr=False)
    profile: Profile

    def sender(self) -> httpx.Request:
        """Ask who sends through FCM."""
        return self._request("GET", "settings/gcmConfPublic")

    def verify(self, device_id: str) -> httpx.Request:
        """Ask what is registered under this id."""
        return self._request("GET", f"devices/{device_id}")

    def create(self, registration: Registration) -> httpx.Request:
        """Register."""
        return self._request("POST", "devices", self._device(registration, is_new=True))

    def update(self, registration: Registration) -> httpx.Request:
        """Register what has changed."""
        body = self._device(registration, is_new=False)
        return self._request("PUT", f"devices/{registration.device_id}", body)

    def delete(self, device_id: str) -> httpx.Request:
        """Unregister; the web SDK sends the JSON of nothing (§2.7)."""
        body = "null" if self.profile.kind == "web" else None
        return self._request("DELETE", f"devices/{device_id}", body)

    def tags(self) -> httpx.Request:
        """Ask which tags there are."""
        return self._request("GET", "tags")

    def subscriptions(self, device_id: str) -> httpx.Request:
        """Ask which tags the device has."""
        return self._request("GET", f"subscriptions?deviceId={device_id}")

    def subscribe(self, device_id: str, tags: list[str]) -> list[httpx.Request]:
        """Subscribe to tags: all at once, or on Android one after the other."""
        if self.profile.kind == "android":
            bodies = [{"deviceId": device_id, "tagName": tag} for tag in tags]
            return [self._request("POST", "subscriptions", _compact(body)) for body in bodies]
        return [self._request("POST", "subscriptions", self._names(device_id, tags))]

    def unsubscribe(self, device_id: str, tags: list[str]) -> list[httpx.Request]:
        """Unsubscribe from tags; as ``subscribe``."""
        if self.profile.kind == "android":
            paths = [f"subscriptions?deviceId={device_id}&tagName={tag}" for tag in tags]
            return [self._request("DELETE", path) for path in paths]
        body = self._names(device_id, tags)
        return [self._request("POST", "subscriptions?action=delete", body)]

    def report(self, device_id: str, message_id: str, status: str) -> httpx.Request:
        """Tell what became of a message (§5.8)."""
        body = _compact({"deviceId": device_id, "status": status})
        return self._request("PUT", f"messages/{message_id}", body)

    def _device(self, registration: Registration, *, is_new: bool) -> str:
        if self.profile.kind == "ios":
            return _swift_device(registration, self.profile.platform if is_new else None)
        device: dict[str, object] = {
            "deviceId": registration.device_id,
            "token": registration.token,
            "platform": self.profile.platform,
        }
        if registration.user_id is not None:
            device["userId"] = registration.user_id
        if registration.variables and self.profile.kind == "android":
            device["variables"] = dict(registration.variables)
        if registration.is_vapid:
            device["vapidRegistration"] = True
        return _compact(device)

    def _names(self, device_id: str, tags: Iterable[str]) -> str:
        if self.profile.kind == "ios":
            names = json.dumps(list(tags), ensure_ascii=False)
            return f'{{"tagNames":{names}, "deviceId":"{device_id}"}}'
        return _compact({"deviceId": device_id, "tagNames": list(tags)})

    def _request(self, method: str, path: str, body: str | None = None) -> httpx.Request:
        profile = self.profile
        headers = {"Content-Type": profile.content_type}
        if profile.accept is not None:
            headers["Accept"] = profile.accept
        if self.client_secret:
            headers["clientSecret"] = self.client_secret
        if profile.is_rewriting:
            headers["X-REWRITE-DOMAIN"] = self.base_url
        url = f"{self.base_url}/{PREFIX}/{self.app_guid}/{path}"
        content = None if body is None else body.encode()
        return httpx.Request(method, url, headers=headers, content=content)


def _swift_device(registration: Registration, platform: str | None) -> str:
    """A body that is put together from strings, as in Swift."""
    fields = {"deviceId": registration.device_id, "token": registration.token}
    if platform is not None:
        fields["platform"] = platform
    if registration.user_id is not None:
        fields["userId"] = registration.user_id
    parts = [f'"{name}": "{value}"' for name, value in fields.items()]
    if registration.variables:
        variables = json.dumps(
            dict(registration.variables), ensure_ascii=False, indent=2, separators=(",", " : ")
        )
        parts.append(f'"variables": {variables}')
    return "{" + ", ".join(parts) + "}"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
