"""
Settings of the platforms (contract §6).

What is put here is kept as it came, but for files and keys: those with which something is sent
go where every dialect's are, and are never told back.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.ibm import document, platforms
from heliograph.api.ibm.devices import base_of
from heliograph.api.ibm.document import DIALECT, Document
from heliograph.api.ibm.door import Door, Entry, json_response, read_body
from heliograph.api.ibm.forms import read_form
from heliograph.api.ibm.problems import Code, problem
from heliograph.api.ibm.unlock import Unlocker
from heliograph.api.ibm.values import boolean
from heliograph.api.problems import Problem
from heliograph.errors import InvalidInput
from heliograph.instances import Change, Credential, Instance, Instances
from heliograph.model import ApnsIdentity, FcmCredentials
from heliograph.wire.jws import base64url

Setting = Mapping[str, Any]
Credentials = Mapping[Credential, ApnsIdentity | FcmCredentials | None]
Put = tuple[Setting, Credentials, dict[str, Change]]
"""What is told back, what is sent with, and other documents that change with it."""

PATHS: Final = (
    "apnsConf",
    "gcmConf",
    "chromeWebConf",
    "firefoxWebConf",
    "safariWebConf",
    "chromeAppExtConf",
)


class Settings:
    """The handlers, and what they need."""

    def __init__(self, door: Door, instances: Instances) -> None:
        """Serve the settings of instances behind a door."""
        self._door = door
        self._instances = instances
        self._unlock = Unlocker().unlock
        self._puts: Mapping[str, Callable[[Request], Awaitable[Put]]] = {
            "apnsConf": self._read_apns,
            "gcmConf": _read_google,
            "chromeAppExtConf": _read_google,
            "chromeWebConf": _read_site,
            "firefoxWebConf": _read_site,
            "safariWebConf": self._read_safari,
        }

    def entries(self) -> list[Entry]:
        """Every path."""
        return [
            ("GET", "/settings", self.list_all),
            ("PUT", "/settings", self.change),
            ("GET", "/settings/gcmConfPublic", self.sender),
            ("GET", "/settings/chromeAppExtConfPublic", self.sender),
            ("GET", "/settings/webpushServerKey", self.server_key),
            *[("GET", f"/settings/{path}", self.show) for path in PATHS],
            *[("PUT", f"/settings/{path}", self.put) for path in PATHS],
            *[("DELETE", f"/settings/{path}", self.delete) for path in PATHS],
        ]

    async def list_all(self, request: Request) -> Response:
        """Where each setting is, and whether devices need the client secret for everything."""
        return json_response(self._listed(request, await self._door.backend(request)))

    async def change(self, request: Request) -> Response:
        """Say whether devices need the client secret for everything (contract §2.3)."""
        instance = await self._door.backend(request)
        body = await read_body(request)
        verifies = boolean("verifyClientSecret", body.get("verifyClientSecret"))
        await self._instances.change(instance.id, verify_client_secret=verifies)
        return json_response(self._listed(request, instance) | {"verifyClientSecret": verifies})

    async def show(self, request: Request) -> Response:
        """One setting as it was put, without keys and files."""
        instance = await self._door.backend(request)
        kept: Setting | None = document.of(instance).settings.get(_path(request))
        if _path(request) == "apnsConf":
            kept = platforms.told_of_apns(kept, instance.apns)
        if kept is None:
            raise not_configured(_path(request))
        return json_response(kept)

    async def put(self, request: Request) -> Response:
        """Put a setting, in place of the one before."""
        instance = await self._door.backend(request)
        path = _path(request)
        kept, credentials, others = await self._puts[path](request)
        documents = {DIALECT: _with(path, kept)} | others
        try:
            await self._instances.set_up(instance.id, documents=documents, credentials=credentials)
        except InvalidInput as found:
            raise platforms.invalid_credential(found, path) from None
        return json_response(kept)

    async def delete(self, request: Request) -> Response:
        """Forget a setting, with what is sent by it."""
        instance = await self._door.backend(request)
        path = _path(request)
        documents = {DIALECT: _without(path, may_lack=path == "apnsConf" and bool(instance.apns))}
        if path == "safariWebConf":
            documents[document.ICONS] = lambda _: None
        await self._instances.set_up(
            instance.id, documents=documents, credentials=_sent_by(path, instance)
        )
        return Response(status_code=204)

    async def sender(self, request: Request) -> Response:
        """The number by which Android's SDK asks Firebase for a token, at every registration."""
        instance = await self._door.client(request)
        path = _path(request).removesuffix("Public")
        kept = document.of(instance).settings.get(path)
        if kept is None:
            raise not_configured(path)
        return json_response({"senderId": kept["senderId"]})

    async def server_key(self, request: Request) -> Response:
        """The key with which browsers subscribe."""
        instance = await self._door.client(request)
        return json_response({"webpushServerKey": base64url(instance.vapid.public_key)})

    async def _read_apns(self, request: Request) -> Put:
        identity, kept = await platforms.read_apns(await read_form(request), self._unlock)
        return kept, {"apns": identity}, {}

    async def _read_safari(self, request: Request) -> Put:
        form = await read_form(request)
        pictures = platforms.read_icons(form)
        identity, kept = await platforms.read_safari(form, self._unlock)
        return kept, {"website": identity}, {document.ICONS: lambda _: pictures}

    @staticmethod
    def _listed(request: Request, instance: Instance) -> dict[str, Any]:
        base = base_of(request)
        links = {path: f"{base}/settings/{path}" for path in PATHS}
        return {
            "applicationId": instance.id,
            **links,
            "verifyClientSecret": instance.verify_client_secret,
        }


def not_configured(path: str) -> Problem:
    """A setting that was never put: which, and how to."""
    sentence = f"Not Found - '{path}' is not configured. PUT it below /settings"
    return problem(Code.NOT_CONFIGURED, sentence)


async def _read_google(request: Request) -> Put:
    credentials, kept = platforms.read_google(await read_body(request))
    return kept, {} if credentials is None else {"fcm": credentials}, {}


async def _read_site(request: Request) -> Put:
    has_key = _path(request) == "chromeWebConf"
    return platforms.read_site(await read_body(request), has_key=has_key), {}, {}


def _with(path: str, kept: Setting) -> Change:
    """Put a setting into the document; the others stay."""

    def change(before: bytes | None) -> bytes | None:
        known = document.read(before)
        settings = known.settings | {path: dict(kept)}
        return document.write(Document(settings, known.channels, known.channel_groups))

    return change


def _without(path: str, *, may_lack: bool) -> Change:
    """Take a setting out of the document, which must have it unless it ``may_lack`` it."""

    def change(before: bytes | None) -> bytes | None:
        known = document.read(before)
        if path not in known.settings and not may_lack:
            raise not_configured(path)
        settings = {name: each for name, each in known.settings.items() if name != path}
        return document.write(Document(settings, known.channels, known.channel_groups))

    return change


def _sent_by(path: str, instance: Instance) -> Credentials:
    """
    What is forgotten with a setting: the credentials that came with it.

    Google's stay where they are the operator's, or those of the other setting that names them.
    """
    if path == "apnsConf":
        return {"apns": None}
    if path == "safariWebConf":
        return {"website": None}
    settings = document.of(instance).settings
    named = {each: settings.get(each, {}).get("apiKey") for each in ("gcmConf", "chromeAppExtConf")}
    account = None if instance.fcm is None else instance.fcm.service_account.client_email
    users = [each for each, name in named.items() if name == account]
    return {"fcm": None} if users == [path] else {}


def _path(request: Request) -> str:
    """The last part of the path: which setting is meant."""
    return request.url.path.rstrip("/").rpartition("/")[2]
