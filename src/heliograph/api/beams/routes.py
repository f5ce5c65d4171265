"""
Beams' paths, as one table, and what each of them does.

Every handler makes the same movements: who asks, what do they say, is it right,
keep it, answer. Success is always exactly 200: Go's and Ruby's SDKs take nothing else.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from heliograph import auth
from heliograph.api import idempotency
from heliograph.api.beams import payloads, schema, sdk, tokens
from heliograph.api.beams.mounts import FROM_BROWSERS, mount
from heliograph.api.bodies import check_content_type, read_object
from heliograph.api.express import Handler
from heliograph.api.limits import Rate, address_of
from heliograph.api.problems import (
    Problem,
    json_response,
)
from heliograph.errors import InvalidInput, KeyReused, Overloaded, TooManyDevices, UserTaken
from heliograph.instances import Instance, Instances
from heliograph.model import DeviceId, Gateway, Target, ToInterests, ToUsers
from heliograph.pipeline.accept import Accept
from heliograph.registry import Registry
from heliograph.webhooks import Webhooks
from heliograph.wire.jws import base64url


class Beams:
    """The handlers, and what they need."""

    def __init__(
        self,
        instances: Instances,
        registry: Registry,
        accept: Accept,
        webhooks: Webhooks,
        *,
        publish_rate: int,
        device_rate: int,
        clock: Callable[[], datetime],
    ) -> None:
        """
        Serve these instances and this registry.

        Args:
            instances: Who may publish.
            registry: The devices.
            accept: Where publishes go.
            webhooks: What keeps the hook that a publish has of its own.
            publish_rate: Publishes a second of one instance, and as many customer calls.
            device_rate: Requests a second of devices at one network address.
            clock: The time.
        """
        self._instances = instances
        self._registry = registry
        self._accept = accept
        self._webhooks = webhooks
        self._publish_rate = Rate(publish_rate)
        self._customer_rate = Rate(publish_rate)
        self._device_rate = Rate(device_rate)
        self._clock = clock

    def publish_routes(self) -> dict[str, Handler]:
        """The paths that are asked most, each with its handler; all are posted to."""
        publishes = "/publish_api/v1/instances/{instance}/publishes"
        return {
            publishes + "/users": self.publish_to_users,
            publishes + "/interests": self.publish_to_interests,
            publishes: self.publish_to_interests,
        }

    def routes(self) -> list[BaseRoute]:
        """Every path of the dialect."""
        instance = "/v1/instances/{instance}"
        users = instance + "/users/{user:path}"
        return [
            *[_post(path, handler) for path, handler in self.publish_routes().items()],
            mount("/customer_api", [_delete(users, self.delete_user)]),
            mount("/user_api", [_delete(users, self.delete_user)]),
            mount("/device_api", self._device_routes(instance), FROM_BROWSERS),
            # Android, when its override has no path of its own (contract §1.3).
            mount("/instances", self._device_routes("/{instance}"), FROM_BROWSERS),
            *sdk.routes(),
        ]

    def _device_routes(self, instance: str) -> list[Route]:
        devices = instance + "/devices/{gateway}"
        device = devices + "/{device}"
        return [
            _get(instance + "/web-vapid-public-key", self.vapid_public_key),
            _post(devices, self.register),
            _get(device, self.show),
            _delete(device, self.unregister),
            _put(device + "/metadata", self.set_metadata),
            _put(device + "/token", self.set_token),
            _put(device + "/user", self.set_user),
            _get(device + "/interests", self.list_interests),
            _put(device + "/interests", self.set_interests),
            _post(device + "/interests/{interest:path}", self.add_interest),
            _delete(device + "/interests/{interest:path}", self.remove_interest),
        ]

    # --- publishing ------------------------------------------------------------------

    async def publish_to_interests(self, request: Request) -> Response:
        """Accept a publish to interests."""
        return await self._publish(request, ToInterests, most_bytes=schema.INTERESTS_BODY_BYTES)

    async def publish_to_users(self, request: Request) -> Response:
        """Accept a publish to users."""
        return await self._publish(request, ToUsers, most_bytes=schema.USERS_BODY_BYTES)

    async def _publish(self, request: Request, kind: type[Target], *, most_bytes: int) -> Response:
        check_content_type(request)
        instance = await self._customer(request, self._publish_rate)
        key = idempotency.read_key(request)
        body = await read_object(request, most_bytes=most_bytes)
        target = schema.read_target(body, kind)
        publish = self._accept.new_id()
        messages = payloads.build(schema.read_payloads(body), instance=instance.id, publish=publish)
        once = idempotency.once(key, kind.__name__, body)
        hook = schema.read_own_hook(body)
        own = None if hook is None else self._webhooks.own(instance, publish, hook)
        try:
            accepted = await self._accept.accept(
                instance, publish, target, messages, once=once, hook=own
            )
        except KeyReused:
            raise idempotency.key_reused() from None
        except Overloaded:
            sentence = "Too many publishes wait to be stored; this one was not accepted"
            raise Problem(503, "Service Unavailable", sentence, retry_after=1) from None
        return json_response({"publishId": accepted})

    async def delete_user(self, request: Request) -> Response:
        """Forget a user and all of their devices; an unknown user is forgotten already."""
        instance = await self._customer(request, self._customer_rate)
        user = schema.read_user_in_path(request.scope["raw_path"], prefix="/users/")
        await self._registry.delete_user(instance.number, user)
        return Response()

    # --- devices ---------------------------------------------------------------------

    async def vapid_public_key(self, request: Request) -> Response:
        """Answer the key that browsers subscribe with."""
        instance = await self._home(request)
        return json_response({"vapidPublicKey": base64url(instance.vapid.public_key)})

    async def register(self, request: Request) -> Response:
        """Register a device; the same token is the same device, with its interests."""
        gateway = _gateway(request)
        instance = await self._home(request)
        check_content_type(request)
        body = await read_object(request, most_bytes=schema.DEVICE_BODY_BYTES)
        registration = await self._registry.register(
            instance.number,
            schema.read_address(gateway, body),
            schema.read_metadata(body.get("metadata")),
        )
        return json_response({"id": registration.id, "initialInterestSet": registration.interests})

    async def show(self, request: Request) -> Response:
        """Answer what is known of a device."""
        instance, device = await self._device(request)
        found = await self._registry.find(instance.number, device)
        if found is None:
            raise _device_not_found()
        return json_response(
            {"id": found.id, "userId": found.user or "", "metadata": found.metadata}
        )

    async def unregister(self, request: Request) -> Response:
        """Forget a device; Android repeats anything but 200 for ever, unknown or not."""
        instance = await self._home(request)
        device = DeviceId(request.path_params["device"])
        if _is_of(device, _gateway(request)):
            await self._registry.unregister(instance.number, device)
        return Response()

    async def set_metadata(self, request: Request) -> Response:
        """Keep what a device says about itself."""
        instance, device = await self._device(request)
        check_content_type(request)
        metadata = await read_object(request, most_bytes=schema.DEVICE_BODY_BYTES)
        return _done(await self._registry.set_metadata(instance.number, device, metadata))

    async def set_token(self, request: Request) -> Response:
        """Move a device to the token that its gateway has given it now."""
        instance, device = await self._device(request)
        if _gateway(request) is not Gateway.FCM:
            raise Problem(404, "Not found", "Only FCM tokens change while a device stays")
        check_content_type(request)
        body = await read_object(request, most_bytes=schema.DEVICE_BODY_BYTES)
        address = schema.read_address(Gateway.FCM, body)
        return _done(await self._registry.move(instance.number, device, address))

    async def set_user(self, request: Request) -> Response:
        """Log the user for whom a Beams token vouches in on a device."""
        instance, device = await self._device(request)
        token = auth.bearer(request.headers.get("authorization"))
        if token is None:
            raise Problem(401, "Unauthorized", "The Authorization header must hold a Beams token")
        try:
            user = tokens.user_of_token(
                token,
                instance=instance.id,
                secret_keys=instance.secret_keys,
                now=self._clock(),
            )
        except tokens.TokenRefused as refused:
            status, error = _TOKEN_PROBLEMS[refused.why]
            raise Problem(status, error, str(refused)) from None
        try:
            return _done(await self._registry.bind_user(instance.number, device, user))
        except UserTaken:
            raise schema.bad_request("A User Id is already associated with this device") from None
        except TooManyDevices as problem:
            raise Problem(
                422,
                "Unprocessable Entity",
                f"User has reached the maximum of {problem.limit} devices",
            ) from None

    # --- interests -------------------------------------------------------------------

    async def list_interests(self, request: Request) -> Response:
        """Answer a page of a device's interests, in ascending order."""
        instance, device = await self._device(request)
        limit, after = schema.read_page(request.query_params)
        names = await self._registry.interests_page(
            instance.number, device, after=after, limit=limit + 1
        )
        if names is None:
            raise _device_not_found()
        page = names[:limit]
        more = {"nextCursor": schema.write_cursor(page[-1])} if len(names) > limit else {}
        return json_response({"interests": page, "responseMetadata": more})

    async def set_interests(self, request: Request) -> Response:
        """Replace a device's interests."""
        instance, device = await self._device(request)
        check_content_type(request)
        body = await read_object(request, most_bytes=schema.INTEREST_SET_BODY_BYTES)
        names = schema.read_interests(body)
        try:
            return _done(await self._registry.set_interests(instance.number, device, names))
        except InvalidInput as problem:
            raise schema.bad_request(f"Interest set too large: {problem.problem}") from None

    async def add_interest(self, request: Request) -> Response:
        """Subscribe a device to an interest."""
        instance, device = await self._device(request)
        name = schema.read_interest(request.path_params["interest"])
        try:
            return _done(await self._registry.add_interest(instance.number, device, name))
        except InvalidInput as problem:
            raise schema.bad_request(f"Interest set too large: {problem.problem}") from None

    async def remove_interest(self, request: Request) -> Response:
        """Unsubscribe a device from an interest."""
        instance, device = await self._device(request)
        name = schema.read_interest(request.path_params["interest"])
        return _done(await self._registry.remove_interest(instance.number, device, name))

    # --- who asks --------------------------------------------------------------------

    async def _customer(self, request: Request, rate: Rate) -> Instance:
        """The instance in the path, whose secret key the request bears (contract §2.7)."""
        authorization = request.headers.get("authorization")
        if authorization is None:
            raise Problem(400, "Incomplete Request", "The Authorization header is missing")
        instance = await self._instance(request)
        key = auth.bearer(authorization)
        if key is None or not auth.is_secret(key, instance.secret_keys):
            raise Problem(401, "Unauthorized", "Incorrect Secret Key")
        rate.check(instance.number, "instance", now=self._clock())
        return instance

    async def _home(self, request: Request) -> Instance:
        """The instance in the path, asked for by a device, which has no credential for it."""
        self._device_rate.check(address_of(request), "address", now=self._clock())
        return await self._instance(request)

    async def _instance(self, request: Request) -> Instance:
        instance = await self._instances.find(request.path_params["instance"])
        if instance is None:
            raise Problem(404, "Instance not found", "Could not find the instance")
        return instance

    async def _device(self, request: Request) -> tuple[Instance, DeviceId]:
        """The instance and the device in the path; whether it exists is not known yet."""
        gateway = _gateway(request)
        instance = await self._home(request)
        device = DeviceId(request.path_params["device"])
        if not _is_of(device, gateway):
            raise _device_not_found()
        return instance, device


_TOKEN_PROBLEMS: Final = {
    "forged": (401, "Unauthorized"),
    "expired": (401, "Unauthorized"),
    "early": (401, "Unauthorized"),
    "claims": (400, "Bad request"),
    "issuer": (403, "Forbidden"),
}
"""Contract §4.6: 400 for what is missing, 403 for another instance's, else 401."""


def _gateway(request: Request) -> Gateway:
    try:
        return Gateway(request.path_params["gateway"])
    except ValueError:
        raise Problem(404, "Not found", "The platforms are apns, fcm and web") from None


def _is_of(device: str, gateway: Gateway) -> bool:
    """Whether a text can be the id of a device of a gateway."""
    return device.startswith(f"{gateway}-") and device.isascii() and device.isprintable()


def _device_not_found() -> Problem:
    return Problem(404, "Not found", "Device not found")


def _done(found: bool) -> Response:
    if not found:
        raise _device_not_found()
    return Response()


def _get(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["GET"])


def _post(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["POST"])


def _put(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["PUT"])


def _delete(path: str, handler: Handler) -> Route:
    return Route(path, handler, methods=["DELETE"])
