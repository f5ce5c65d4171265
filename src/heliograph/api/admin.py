"""
Our own API, for the operator: ``/admin/v1``.

Every request bears the admin token; without one in the settings there is no API.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from heliograph import auth
from heliograph.api.apns_credentials import describe_apns, read_apns
from heliograph.api.devices import describe as describe_device
from heliograph.api.devices import describe_stop
from heliograph.api.devices import show as show_device
from heliograph.api.insights import InsightAdmin, describe_echoes
from heliograph.api.problems import Problem, json_response
from heliograph.api.questions import (
    PAGE,
    Entry,
    Handler,
    flag,
    instance_of,
    not_found,
    number,
    read,
    read_body,
)
from heliograph.api.trace import trace
from heliograph.api.webhooks import WebhookAdmin
from heliograph.errors import InvalidInput
from heliograph.instances import Instance, Instances, VapidKeyUse
from heliograph.metrics import Metrics
from heliograph.model import (
    DeviceId,
    DeviceNumber,
    FcmCredentials,
    PublishId,
    Target,
    ToInterests,
    ToMatching,
    ToUsers,
    UserId,
)
from heliograph.pipeline.breaker import TRUST
from heliograph.pipeline.cancel import cancel
from heliograph.pipeline.fleet import living
from heliograph.registry import Registry
from heliograph.storage import publishes, watches
from heliograph.storage.database import Database
from heliograph.storage.lanes import Paused
from heliograph.storage.publishes import Progress
from heliograph.storage.workers import WorkerRow
from heliograph.wire.jws import base64url


class Admin:
    """The handlers, and what they need."""

    def __init__(
        self,
        database: Database,
        instances: Instances,
        registry: Registry,
        *,
        webhooks: WebhookAdmin,
        metrics: Metrics,
        token: str | None,
        alone: WorkerRow | None,
        clock: Callable[[], datetime],
    ) -> None:
        """
        Serve these instances to whoever bears the token.

        Args:
            database: Where everything is kept.
            instances: Theirs.
            registry: Their devices.
            webhooks: What answers for their webhooks.
            metrics: Where to count.
            token: None closes the API.
            alone: This process, if no other can deliver.
            clock: The time.
        """
        self._database = database
        self._instances = instances
        self._registry = registry
        self._webhooks = webhooks
        self._insights = InsightAdmin(database, instances, clock=clock)
        self._metrics = metrics
        self._token = token
        self._alone = alone
        self._clock = clock

    def routes(self) -> list[Mount]:
        """Every path."""
        one = "/instances/{instance}"
        table: list[Entry] = [
            ("POST", "/instances", self.create),
            ("GET", "/instances", self.list_all),
            ("GET", one, self.show),
            ("PATCH", one, self.change),
            ("DELETE", one, self.delete),
            ("POST", one + "/rotate-key", self.rotate_key),
            ("POST", one + "/vapid/rotate", self.rotate_vapid),
            ("POST", one + "/resume-pruning", self.resume_pruning),
            ("PUT", one + "/credentials/apns", self.set_apns),
            ("DELETE", one + "/credentials/apns", self.remove_apns),
            ("PUT", one + "/credentials/fcm", self.set_fcm),
            ("DELETE", one + "/credentials/fcm", self.remove_fcm),
            ("GET", one + "/lanes", self.list_lanes),
            ("GET", one + "/devices", self.list_devices),
            ("GET", one + "/devices/{device}", self.show_device),
            ("POST", one + "/devices/{device}/restore", self.restore_device),
            ("GET", one + "/publishes/{publish}", self.show_publish),
            ("POST", one + "/publishes/{publish}/cancel", self.cancel_publish),
            ("GET", one + "/publishes/{publish}/trace", self.trace),
            ("GET", "/workers", self.list_workers),
            *self._webhooks.table(one),
            *self._insights.table(one),
        ]
        return [
            Mount(
                "/admin/v1",
                Router(
                    [
                        Route(path, self._guarded(handler), methods=[method])
                        for method, path, handler in table
                    ],
                    redirect_slashes=False,
                ),
            )
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def serve(request: Request) -> Response:
            if self._token is None:
                raise Problem(
                    403,
                    "Forbidden",
                    "The admin API is closed: set HELIOGRAPH_ADMIN_TOKEN to open it",
                )
            presented = auth.bearer(request.headers.get("authorization"))
            if presented is None or not auth.is_secret(presented, [self._token]):
                raise Problem(401, "Unauthorized", "The admin token is missing or wrong")
            try:
                return await handler(request)
            except InvalidInput as problem:
                raise Problem(422, "Unprocessable Entity", str(problem)) from None

        return serve

    # --- instances -------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        """Make an instance; its secrets are answered here and nowhere else."""
        body = await read(request, _NewInstance)
        made = await self._instances.create(
            body.name,
            identity=body.id,
            secret_key=body.secret_key,
            client_secret=body.client_secret,
            app_secret=body.app_secret,
        )
        return json_response(
            {
                "instance_id": made.id,
                "secret_key": made.secret_keys[0],
                "client_secret": made.client_secret,
                "app_secret": made.app_secret,
            },
            status=201,
        )

    async def list_all(self, _request: Request) -> Response:
        """Every instance, without secrets."""
        return json_response(
            {"instances": [await self._describe(each) for each in await self._instances.every()]}
        )

    async def show(self, request: Request) -> Response:
        """One instance, without secrets."""
        return json_response(await self._describe(await instance_of(request, self._instances)))

    async def change(self, request: Request) -> Response:
        """Change an instance's settings."""
        instance = await instance_of(request, self._instances)
        body = await read(request, _InstanceChange)
        await self._instances.change(
            instance.id, name=body.name, verify_client_secret=body.verify_client_secret
        )
        return await self.show(request)

    async def delete(self, request: Request) -> Response:
        """Delete an instance and everything it owns."""
        instance = await instance_of(request, self._instances)
        await self._instances.delete(instance.id)
        return Response(status_code=204)

    async def rotate_key(self, request: Request) -> Response:
        """Make a new secret key; the one before it stays good until the next time."""
        instance = await instance_of(request, self._instances)
        key = await self._instances.rotate_key(instance.id)
        if key is None:
            raise not_found("instance")
        return json_response({"instance_id": instance.id, "secret_key": key})

    async def rotate_vapid(self, request: Request) -> Response:
        """Make a new VAPID pair current; browsers subscribed with an older one stay reached."""
        instance = await instance_of(request, self._instances)
        await self._instances.rotate_vapid(instance.id)
        return await self.show(request)

    async def resume_pruning(self, request: Request) -> Response:
        """Let devices be pruned again where that was stopped, and believe gateways for a day."""
        instance = await instance_of(request, self._instances)
        now = self._clock()
        async with self._database.write() as connection:
            await watches.trust(connection, instance.number, until=now + TRUST, now=now)
        return await self.show(request)

    # --- credentials -----------------------------------------------------------------

    async def set_apns(self, request: Request) -> Response:
        """Keep an APNs signing key, or a certificate with its key."""
        instance = await instance_of(request, self._instances)
        credentials = read_apns(await read_body(request))
        await self._instances.set_apns(instance.id, credentials)
        return await self.show(request)

    async def remove_apns(self, request: Request) -> Response:
        """Forget the APNs signing key, or the certificate."""
        instance = await instance_of(request, self._instances)
        await self._instances.remove_credentials(instance.id, apns=True)
        return await self.show(request)

    async def set_fcm(self, request: Request) -> Response:
        """Keep an FCM service account: the file as Google gives it."""
        instance = await instance_of(request, self._instances)
        credentials = await read(request, FcmCredentials)
        await self._instances.set_fcm(instance.id, credentials)
        return await self.show(request)

    async def remove_fcm(self, request: Request) -> Response:
        """Forget the FCM service account."""
        instance = await instance_of(request, self._instances)
        await self._instances.remove_credentials(instance.id, apns=False)
        return await self.show(request)

    # --- what is there ---------------------------------------------------------------

    async def list_lanes(self, request: Request) -> Response:
        """The lanes of an instance that are paused, and when each is tried next."""
        instance = await instance_of(request, self._instances)
        paused = await self._instances.paused_lanes(instance.number)
        return json_response({"lanes": [describe_lane(each) for each in paused]})

    async def list_devices(self, request: Request) -> Response:
        """A page of an instance's devices, or of one user's; with ``pruned=true`` those gone."""
        instance = await instance_of(request, self._instances)
        query = request.query_params
        user = query.get("user")
        if user is not None and (problem := auth.user_problem(user)):
            raise InvalidInput("user", problem)
        limit = number(query.get("limit"), "limit", default=PAGE, most=PAGE)
        after = number(query.get("cursor"), "cursor", default=0, most=2**63 - 1)
        found = await self._registry.page(
            instance.number,
            user=None if user is None else UserId(user),
            pruned=flag(query.get("pruned"), "pruned"),
            after=DeviceNumber(after),
            limit=limit + 1,
        )
        answer: dict[str, Any] = {"devices": [describe_device(each) for each in found[:limit]]}
        if len(found) > limit:
            answer["next_cursor"] = str(found[limit - 1].number)
        return json_response(answer)

    async def show_device(self, request: Request) -> Response:
        """One device, living or pruned, and what it is suspected of."""
        instance = await instance_of(request, self._instances)
        device = DeviceId(request.path_params["device"])
        async with self._database.read(long=True) as connection:
            found = await show_device(connection, instance.number, device)
        if found is None:
            raise not_found("device")
        return json_response(found)

    async def restore_device(self, request: Request) -> Response:
        """Undo a prune; the device, whose user has to log in again."""
        instance = await instance_of(request, self._instances)
        device = DeviceId(request.path_params["device"])
        restored = await self._registry.restore(instance.number, device)
        if restored is None:
            raise not_found("device")
        return json_response(describe_device(restored))

    async def show_publish(self, request: Request) -> Response:
        """How far a publish has come, live."""
        instance = await instance_of(request, self._instances)
        publish = PublishId(request.path_params["publish"])
        async with self._database.read(long=True) as connection:
            progress = await publishes.progress(connection, instance.number, publish)
        if progress is None:
            raise not_found("publish")
        return json_response(describe_progress(progress))

    async def cancel_publish(self, request: Request) -> Response:
        """Cancel what is left of a publish; its progress, as it is then."""
        instance = await instance_of(request, self._instances)
        publish = PublishId(request.path_params["publish"])
        progress = await cancel(
            self._database, instance.number, publish, metrics=self._metrics, now=self._clock()
        )
        if progress is None:
            raise not_found("publish")
        return json_response(describe_progress(progress))

    async def trace(self, request: Request) -> Response:
        """What became of one publish on one device, or on every device of a user."""
        instance = await instance_of(request, self._instances)
        device, user = _read_traced(request)
        identity = PublishId(request.path_params["publish"])
        async with self._database.read(long=True) as connection:
            traces = await trace(connection, instance.number, identity, device=device, user=user)
        if traces is None:
            raise not_found("publish")
        if user is not None:
            return json_response({"publish_id": identity, "user_id": user, "devices": traces})
        if not traces:
            raise not_found("device")
        return json_response({"publish_id": identity} | traces[0])

    async def _describe(self, instance: Instance) -> dict[str, Any]:
        keys = await self._instances.vapid_use(instance.number)
        async with self._database.read(long=True) as connection:
            stopped = await watches.stopped(connection, instance.number)
        return _describe(instance) | {
            "vapid_keys": [_describe_key(each) for each in keys],
            "pruning_stopped": [describe_stop(lane, watch) for lane, watch in stopped],
        }

    # --- processes -------------------------------------------------------------------

    async def list_workers(self, _request: Request) -> Response:
        """The processes that deliver."""
        now = self._clock()
        if self._alone is None:
            found = await living(self._database, now=now)
        else:
            found = [replace(self._alone, seen_at=now)]
        return json_response(
            {
                "workers": [
                    {
                        "id": each.id,
                        "host": each.host,
                        "version": each.version,
                        "started_at": each.started_at,
                        "seen_at": each.seen_at,
                    }
                    for each in found
                ]
            }
        )


class _NewInstance(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    id: str | None = None
    secret_key: str | None = None
    client_secret: str | None = None
    app_secret: str | None = None


class _InstanceChange(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    verify_client_secret: bool | None = None


def _read_traced(request: Request) -> tuple[DeviceId | None, UserId | None]:
    """Whose trace is asked for: a device's, or that of all devices of a user."""
    device, user = (request.query_params.get(name) for name in ("device", "user"))
    if user is None:
        return DeviceId(device or ""), None
    if device is not None:
        raise InvalidInput("user", "a trace is of a device or of a user, not of both")
    if problem := auth.user_problem(user):
        raise InvalidInput("user", problem)
    return None, UserId(user)


def _describe(instance: Instance) -> dict[str, Any]:
    apns, fcm = instance.apns, instance.fcm
    return {
        "instance_id": instance.id,
        "name": instance.name,
        "created_at": instance.created_at,
        "verify_client_secret": instance.verify_client_secret,
        "vapid_public_key": base64url(instance.vapid.public_key),
        "live_secret_keys": len(instance.secret_keys),
        "apns": apns and describe_apns(apns),
        "fcm": fcm
        and {
            "project_id": fcm.service_account.project_id,
            "client_email": fcm.service_account.client_email,
            "endpoint": fcm.endpoint,
        },
    }


def _describe_key(key: VapidKeyUse) -> dict[str, Any]:
    return {
        "public_key": base64url(key.public_key),
        "created_at": key.created_at,
        "devices": key.devices,
        "current": key.is_current,
    }


def describe_lane(paused: Paused) -> dict[str, Any]:
    """A lane that is paused, in the words of the API and of the command line."""
    return {
        "gateway": paused.lane.gateway,
        "environment": paused.lane.environment,
        "kind": paused.kind,
        "reason": paused.reason,
        "paused_at": paused.paused_at,
        "probe_at": paused.probe_at,
        "probes": paused.probes,
    }


def describe_progress(progress: Progress) -> dict[str, Any]:
    """How far a publish has come, in the words of the API and of the command line."""
    return {
        "publish_id": progress.id,
        "state": progress_state(progress),
        "target": _describe_target(progress.target),
        "accepted_at": progress.accepted_at,
        "expanded_at": progress.expanded_at,
        "cancelled_at": progress.cancelled_at,
        "targeted": progress.targeted,
        "sent": progress.sent,
        "failed": progress.failed,
        "expired": progress.expired,
        "cancelled": progress.cancelled,
        "pending": progress.pending,
        **describe_echoes(progress.gateways),
    }


def progress_state(progress: Progress) -> str:
    """Whether a publish is under way, or how it has ended."""
    if progress.expanded_at is None or progress.pending:
        return "under way"
    return "finished" if progress.cancelled_at is None else "cancelled"


def _describe_target(target: Target) -> dict[str, list[str]]:
    match target:
        case ToUsers(users=users):
            return {"users": list(users)}
        case ToInterests(interests=interests):
            return {"interests": list(interests)}
        case ToMatching(devices=devices, users=users, interests=interests, platforms=platforms):
            kinds: dict[str, Sequence[Any] | None] = {
                "devices": devices,
                "users": users,
                "interests": interests,
                "platforms": platforms,
            }
            return {kind: list(names) for kind, names in kinds.items() if names is not None}
