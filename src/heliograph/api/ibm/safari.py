"""
What Safari itself asks for, below the address that IBM's SDK gives it (contract §5.5).

It is Apple's protocol: the browser fetches a push package, and says when a person lets the site
notify or does not any more. The SDK registers the device; here it is only taken away.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from heliograph.api.bodies import read_object
from heliograph.api.ibm import document, icons, package
from heliograph.api.ibm.devices import base_of
from heliograph.api.ibm.door import DEVICE_BODY_BYTES, Door, Entry
from heliograph.api.ibm.problems import Code, not_found, problem
from heliograph.api.ibm.schema import LONGEST_DEVICE_ID
from heliograph.api.ibm.settings import not_configured
from heliograph.api.ibm.values import name
from heliograph.instances import Instance
from heliograph.model import ApnsCertificate, Platform
from heliograph.roster import Roster

PATH: Final = "/settings/safariWebConf"
_SCHEME: Final = "applepushnotifications "
_VERSIONS: Final[dict[str, package.Version]] = {"v1": 1, "v2": 2}


class Safari:
    """The handlers, and what they need."""

    def __init__(self, door: Door, roster: Roster) -> None:
        """Serve the web sites of instances behind a door that is open to their visitors."""
        self._door = door
        self._roster = roster

    def entries(self) -> list[Entry]:
        """Every path."""
        version = PATH + "/{version}"
        registration = version + "/devices/{token}/registrations/{push_id}"
        return [
            ("POST", version + "/pushPackages/{push_id}", self.push_package),
            ("POST", registration, self.permitted),
            ("DELETE", registration, self.forbidden),
            ("POST", version + "/log", self.log),
        ]

    async def push_package(self, request: Request) -> Response:
        """The package of a site, made for the device that asks."""
        instance = await self._door.visitor(request)
        site, identity = _site(request, instance)
        # What browsers say of the kind of their bodies, Apple does not say.
        body = await read_object(request, most_bytes=DEVICE_BODY_BYTES)
        device = name(LONGEST_DEVICE_ID)("deviceId", body.get("deviceId"))
        content = package.build(
            site,
            document.icons(instance) or icons.suns(),
            identity,
            service=base_of(request) + PATH,
            token=package.authentication_token(instance.client_secret, device),
            version=_version(request),
        )
        return Response(content, media_type="application/zip")

    async def permitted(self, request: Request) -> Response:
        """Hear that a person lets the site notify; the SDK then registers the device."""
        instance = await self._door.visitor(request)
        _site(request, instance)
        _device(request, instance)
        return Response()

    async def forbidden(self, request: Request) -> Response:
        """Hear that they do not any more: the device is forgotten, if it is the one."""
        instance = await self._door.visitor(request)
        _site(request, instance)
        device = _device(request, instance)
        found = await self._roster.find(instance.number, device)
        token = request.path_params["token"].lower()
        if (
            found is not None
            and found.platform is Platform.SAFARI
            and getattr(found.address, "token", None) == token
        ):
            await self._roster.strike(instance.number, device)
        return Response()

    async def log(self, request: Request) -> Response:
        """Hear what went wrong in the browser; it may hold anything, and is kept nowhere."""
        await self._door.visitor(request)
        _version(request)
        return Response()


def _version(request: Request) -> package.Version:
    version = _VERSIONS.get(request.path_params["version"])
    if version is None:
        raise problem(Code.NOT_FOUND, "Not Found - There is nothing at this path")
    return version


def _site(request: Request, instance: Instance) -> tuple[dict[str, Any], ApnsCertificate]:
    """The settings of the site in the path, and its certificate."""
    _version(request)
    site = document.of(instance).settings.get("safariWebConf")
    if site is None or not isinstance(instance.website, ApnsCertificate):
        raise not_configured("safariWebConf")
    if site["websitePushID"] != request.path_params["push_id"]:
        raise not_found("websitePushID", "websitePushID")
    return site, instance.website


def _device(request: Request, instance: Instance) -> str:
    """The device that the package was made for, as its token says."""
    header = request.headers.get("authorization", "")
    token = header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""
    try:
        device = package.device_of(token)
    except ValueError:
        device = ""
    if not device or not package.is_token_of(token, instance.client_secret, device):
        raise problem(Code.UNAUTHORIZED, "Unauthorized - the authentication token is not valid")
    return device
