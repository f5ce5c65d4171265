"""
Devices: registered by their apps, asked for at every launch (contract §3).

SDKs read the statuses closely: 200 or an error for a device that is asked for, 201 for one that
is registered, 204 for one that is gone.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from heliograph.addresses import apns_address, fcm_address
from heliograph.api.ibm import document, queries, shapes
from heliograph.api.ibm.answers import (
    json_response,
    read_body,
)
from heliograph.api.ibm.browsers import read_browser_token
from heliograph.api.ibm.door import (
    BASE,
    Door,
    Entry,
)
from heliograph.api.ibm.problems import invalid, not_found
from heliograph.api.ibm.schema import ANONYMOUS, LONGEST_DEVICE_ID, LONGEST_USER_ID
from heliograph.api.ibm.schema import platform as read_platform
from heliograph.api.ibm.values import Reader, name, text
from heliograph.api.problems import Problem
from heliograph.errors import TooManyDevices
from heliograph.instances import Instance
from heliograph.model import Address, DeviceNumber, Gateway, Platform, UserId
from heliograph.roster import Entry as Registration
from heliograph.roster import Roster

_TAKEN: Final = "report"
"""Below ``/devices`` it is the report of registrations, so no device could be asked for by it."""

_MOST_VARIABLES: Final = 100
_LONGEST_VARIABLE: Final = 1024


class Devices:
    """The handlers, and what they need."""

    def __init__(self, door: Door, roster: Roster) -> None:
        """Serve the devices of a roster behind a door."""
        self._door = door
        self._roster = roster

    def entries(self) -> list[Entry]:
        """Every path."""
        return [
            ("POST", "/devices", self.register),
            ("GET", "/devices", self.list_all),
            ("GET", "/devices/{device:path}", self.show),
            ("PUT", "/devices/{device:path}", self.update),
            ("DELETE", "/devices/{device:path}", self.unregister),
        ]

    async def register(self, request: Request) -> Response:
        """Register a device, or register it again."""
        body, instance = await self._read(request)
        registration = read_registration(body, instance, agent=request.headers.get("user-agent"))
        try:
            made, _ = await self._roster.enter(instance.number, registration)
        except TooManyDevices as problem:
            raise _too_many(problem) from None
        return json_response(shapes.device(made, base_of(request)), status=201)

    async def show(self, request: Request) -> Response:
        """Answer what is known of a device."""
        instance = await self._door.client(request)
        found = await self._roster.find(instance.number, request.path_params["device"])
        if found is None:
            raise not_found("deviceId", "deviceId")
        return json_response(shapes.device(found, base_of(request)))

    async def update(self, request: Request) -> Response:
        """
        Take a device's new token, and who is logged in: whoever is not named is logged out.

        Both mobile SDKs leave the user out exactly to say that (contract §3.2).
        """
        body, instance = await self._read(request)
        device = request.path_params["device"]
        known = await self._roster.find(instance.number, device)
        if known is None:
            raise not_found("deviceId", "deviceId")
        given = read_update(body, known.platform, instance)
        try:
            changed = await self._roster.change(instance.number, device, **given)
        except TooManyDevices as problem:
            raise _too_many(problem) from None
        if changed is None:
            raise not_found("deviceId", "deviceId")
        return json_response(shapes.device(changed, base_of(request)))

    async def unregister(self, request: Request) -> Response:
        """Forget a device with its subscriptions."""
        instance = await self._door.client(request)
        if not await self._roster.strike(instance.number, request.path_params["device"]):
            raise not_found("deviceId", "deviceId")
        return Response(status_code=204)

    async def list_all(self, request: Request) -> Response:
        """A page of the devices of an instance, or of one user; for back ends only."""
        instance = await self._door.backend(request)
        page = queries.read_page(request.query_params, {"platform": "platform"}, also=["userId"])
        user = page.named.get("userId")
        after = queries.read_after(request.query_params)
        rows, total = await self._roster.page(
            instance.number,
            user=None if user in (None, ANONYMOUS) else UserId(user),
            has_no_user=user == ANONYMOUS,
            wanted=page.wanted,
            after=DeviceNumber(after),
            offset=0 if after else page.offset,
            limit=page.size,
        )
        base = base_of(request)
        shape = shapes.device if page.is_expanded else shapes.device_link
        last = int(rows[-1].number) if rows else 0
        info = queries.page_info(page, f"{base}/devices", count=len(rows), total=total, after=last)
        return json_response({"devices": [shape(each, base) for each in rows], "pageInfo": info})

    async def _read(self, request: Request) -> tuple[dict[str, Any], Instance]:
        """The body, and the instance if the caller may say that of a user."""
        instance = await self._door.client(request)
        body = await read_body(request)
        if read_user(body) is not None:
            self._door.check_client(request, instance)
        return body, instance


def base_of(request: Request) -> str:
    """The address of the instance that a request was made to."""
    url = request.url
    return f"{url.scheme}://{url.netloc}{BASE}/{request.path_params['instance']}"


def read_registration(
    body: dict[str, Any], instance: Instance, *, agent: str | None
) -> Registration:
    """
    What an app says of its device (contract §3.1).

    Args:
        body: The JSON of it.
        instance: Whose device.
        agent: The ``User-Agent`` header, which is told back.

    Raises:
        Problem: 400.
    """
    given = _read_members(body, needed=("deviceId", "token", "platform"))
    if given["deviceId"] == _TAKEN:
        raise invalid("deviceId", f"it cannot be {_TAKEN}, which is another path")
    platform: Platform = given["platform"]
    said = {"variables": given.get("variables"), "userAgent": (agent or "")[:_LONGEST_VARIABLE]}
    return Registration(
        name=given["deviceId"],
        address=read_address(given["token"], platform, instance),
        platform=platform,
        user=read_user(body),
        metadata={name: value for name, value in said.items() if value},
    )


def read_update(body: dict[str, Any], known: Platform, instance: Instance) -> dict[str, Any]:
    """
    What an app says of its device anew, as ``Roster.change`` takes it.

    Args:
        body: The JSON of it.
        known: The platform of the device until now, if the body does not say.
        instance: Whose device.

    Raises:
        Problem: 400.
    """
    given = _read_members(body, needed=())
    platform: Platform = given.get("platform", known)
    address = None
    if "token" in given:
        address = read_address(given["token"], platform, instance)
    elif platform.gateway is not known.gateway:
        raise invalid("token", "it is required, for the platform is another")
    variables = given.get("variables")
    return {
        "address": address,
        "platform": platform,
        "user": read_user(body),
        "metadata": None if variables is None else {"variables": variables},
    }


def read_user(body: dict[str, Any]) -> UserId | None:
    """
    Who is logged in; None: nobody, which is also what ``anonymous`` and no text mean.

    Contract §3.4: nobody can tell a user called that from a device without one.

    Raises:
        Problem: 400.
    """
    user = body.get("userId")
    if user in (None, "", ANONYMOUS):
        return None
    return UserId(name(LONGEST_USER_ID)("userId", user))


def read_address(token: str, platform: Platform, instance: Instance) -> Address:
    """
    Where a device is reached, from what its platform calls a token (contract §3.1).

    Raises:
        Problem: 400.
    """
    try:
        match platform.gateway:
            case Gateway.APNS:
                return apns_address(token, _topic(platform, instance))
            case Gateway.FCM:
                return fcm_address(token)
            case Gateway.WEB:
                return read_browser_token(token)
    except ValueError as problem:
        raise invalid("token", str(problem)) from None


def _topic(platform: Platform, instance: Instance) -> str | None:
    """What Apple calls the app; a web site has a name of its own."""
    if platform is not Platform.SAFARI:
        return None
    kept = document.of(instance).settings.get("safariWebConf", {})
    return str(kept["websitePushID"]) if "websitePushID" in kept else None


def _read_members(body: dict[str, Any], *, needed: tuple[str, ...]) -> dict[str, Any]:
    for each in needed:
        if body.get(each) is None:
            raise invalid(each, "it is required")
    return {
        each: read(each, body[each])
        for each, read in _READERS.items()
        if body.get(each) is not None
    }


def _variables(parameter: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _MOST_VARIABLES:
        raise invalid(parameter, f"it must be an object of at most {_MOST_VARIABLES} texts")
    for key, each in value.items():
        is_short = isinstance(each, str) and len(key) + len(each) <= _LONGEST_VARIABLE
        if not is_short:
            raise invalid(
                f"{parameter}.{key[:80]}",
                f"it must be text, of at most {_LONGEST_VARIABLE} characters with its name",
            )
    return value


def _too_many(problem: TooManyDevices) -> Problem:
    return invalid(
        "userId",
        f"this user has the {problem.limit} devices that a user may have here "
        "(HELIOGRAPH_MAX_DEVICES_PER_USER)",
    )


_READERS: Final[dict[str, Reader]] = {
    "deviceId": name(LONGEST_DEVICE_ID),
    "token": text,
    "platform": read_platform,
    "variables": _variables,
}
