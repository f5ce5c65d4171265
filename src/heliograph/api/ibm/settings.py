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
from heliograph.api.ibm.values import boolean
from heliograph.api.problems import Problem
from heliograph.errors import InvalidInput
from heliograph.instances import Instance, Instances
from heliograph.wire.jws import base64url

Setting = Mapping[str, Any]

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
        self._puts: dict[str, Callable[[Request, Instance], Awaitable[Setting]]] = {
            "apnsConf": self._put_apns,
            "gcmConf": self._put_google,
            "chromeAppExtConf": self._put_google,
            "chromeWebConf": self._put_site,
            "firefoxWebConf": self._put_site,
            "safariWebConf": self._put_safari,
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
        kept = document.of(instance).settings.get(_path(request))
        if kept is None and _path(request) == "apnsConf" and instance.apns is not None:
            kept = platforms.described(instance.apns)
        if kept is None:
            raise not_configured(_path(request))
        return json_response(kept)

    async def put(self, request: Request) -> Response:
        """Put a setting, in place of the one before."""
        instance = await self._door.backend(request)
        path = _path(request)
        try:
            kept = await self._puts[path](request, instance)
        except InvalidInput as found:
            raise platforms.invalid_credential(found) from None
        await self._keep(instance, path, kept)
        return json_response(kept)

    async def delete(self, request: Request) -> Response:
        """Forget a setting, with what is sent by it."""
        instance = await self._door.backend(request)
        path = _path(request)
        is_there = path in document.of(instance).settings
        if path == "apnsConf" and instance.apns is not None:
            is_there = True
            await self._instances.remove_credentials(instance.id, apns=True)
        if not is_there:
            raise not_configured(path)
        if path == "gcmConf":
            await self._instances.remove_credentials(instance.id, apns=False)
        if path == "safariWebConf":
            await self._instances.set_website(instance.id, None)
            await self._instances.change_document(instance.id, document.ICONS, lambda _: None)
        await self._keep(instance, path, None)
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

    # --- what each of them holds -----------------------------------------------------

    async def _put_apns(self, request: Request, instance: Instance) -> Setting:
        form = await read_form(request)
        identity, kept = platforms.read_apns(form)
        await self._instances.set_apns(instance.id, identity)
        return kept

    async def _put_safari(self, request: Request, instance: Instance) -> Setting:
        form = await read_form(request)
        identity, kept = platforms.read_safari(form)
        pictures = platforms.read_icons(form)
        await self._instances.set_website(instance.id, identity)
        await self._instances.change_document(instance.id, document.ICONS, lambda _: pictures)
        return kept

    async def _put_google(self, request: Request, instance: Instance) -> Setting:
        credentials, kept = platforms.read_google(await read_body(request))
        if credentials is not None:
            await self._instances.set_fcm(instance.id, credentials)
        return kept

    async def _put_site(self, request: Request, instance: Instance) -> Setting:
        del instance
        return platforms.read_site(await read_body(request), has_key=_path(request)[0] == "c")

    async def _keep(self, instance: Instance, path: str, kept: Setting | None) -> None:
        def change(before: bytes | None) -> bytes | None:
            known = document.read(before)
            settings = {name: each for name, each in known.settings.items() if name != path}
            if kept is not None:
                settings[path] = dict(kept)
            return document.write(Document(settings, known.channels, known.channel_groups))

        await self._instances.change_document(instance.id, DIALECT, change)

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


def _path(request: Request) -> str:
    """The last part of the path: which setting is meant."""
    return request.url.path.rstrip("/").rpartition("/")[2]
