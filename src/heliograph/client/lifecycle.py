"""
A device's life, as the iOS SDK of Beams lives it; the core of ``device``.

Rules for whoever edits this file:

* No I/O. An operation yields its requests, its pauses and its saves (``steps``).
* Operations never overlap: the skins run one after the other.
* The server goes first. The state says what the server has confirmed, so when a
  request fails the state still holds what was true before it. The exception is
  ``is_certain``: it is lowered *before* a change of interests is sent, so that neither
  a lost reply nor a crash is forgotten; the next change, or the next start, then sends
  the whole set.
* The state is changed in ``_become`` and nowhere else, and a change is saved at once.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

import httpx

from heliograph.client.asking import refusal
from heliograph.client.endpoint import LIBRARY, MAX_NAME_CHARS, path_segment
from heliograph.client.errors import (
    DeviceError,
    NotFound,
    NotRegistered,
    NotStarted,
    OtherInstance,
    RequestRefused,
    StateError,
    Unreachable,
    UserAlreadySet,
)
from heliograph.client.notifications import AppState, Handled, Payload, handle
from heliograph.client.registration import DeviceToken, registered, registration, wire_token
from heliograph.client.retry import ONCE, Retry, exchange
from heliograph.client.state import Changes, Platform, State, Store
from heliograph.client.steps import Call, Operation
from heliograph.client.tokens import BeamsTokenProvider

MAX_INTERESTS: Final = 5000
"""Most interests of one device."""

_INTEREST: Final = re.compile(r"[A-Za-z0-9_=@,.;-]{1,164}")

_log = logging.getLogger(__name__)

Edit: TypeAlias = Callable[[Changes], Changes]
"""What an operation does to the changes that the app made so far."""


@dataclass(frozen=True, slots=True)
class _Login:
    """Who is to be bound to this device, and how to prove it. Never saved."""

    user_id: str
    token_provider: BeamsTokenProvider


class Lifecycle:
    """One device: its state, and the operations on it."""

    def __init__(
        self,
        *,
        base_url: str,
        platform: Platform,
        metadata: dict[str, str],
        store: Store,
        retry: Retry,
        clock: Callable[[], float],
    ) -> None:
        self._base_url = base_url
        self._platform: Platform = platform
        self._metadata = metadata
        self._store = store
        self._retry = retry
        self._clock = clock
        self._state: State | None = None
        self._saved: State | None = None
        self._login: _Login | None = None

    @property
    def state(self) -> State | None:
        """What is known now; None before ``start`` and after ``stop``."""
        return self._state

    def started(self) -> State:
        """What is known now; raises NotStarted before ``start`` and after ``stop``."""
        if self._state is None:
            raise NotStarted
        return self._state

    def start(self, instance_id: str) -> Operation[None]:
        """Take up the stored state, or begin a new one."""
        if not instance_id:
            raise ValueError("instance_id cannot be the empty string")
        state = self._state
        if state is None:
            self._saved = yield Call(self._store.load)
            state = self._saved or State(instance_id, self._platform)
        if state.instance_id != instance_id:
            raise OtherInstance(state.instance_id)
        if state.profile is not None:
            raise StateError(f"the state is of profile {state.profile}")
        if state.platform != self._platform:
            raise StateError(f"the state is of a device of {state.platform}, not {self._platform}")
        yield from self._become(state)
        # What could not be told now is told at the next start or registration.
        with suppress(Unreachable, RequestRefused):
            yield from self._catch_up()

    def register_device_token(
        self, token: DeviceToken, bundle_identifier: str | None
    ) -> Operation[None]:
        """Register this device under its address."""
        state = self.started()
        if bundle_identifier is not None and self._platform != "apns":
            raise ValueError("only a device of apns has a bundle identifier")
        bundle = bundle_identifier or state.bundle_identifier
        yield from self._register(wire_token(self._platform, token), bundle)

    def set_user_id(self, user_id: str, token_provider: BeamsTokenProvider) -> Operation[None]:
        """Bind this device to a user."""
        state = self.started()
        if not user_id or len(user_id) > MAX_NAME_CHARS:
            raise ValueError(f"a user id has 1 to {MAX_NAME_CHARS} characters")
        if state.user_id not in {None, user_id}:
            raise UserAlreadySet(str(state.user_id))
        if state.device_id is None:
            raise NotRegistered
        yield from self._log_in(_Login(user_id, token_provider))

    def clear_all_state(self) -> Operation[None]:
        """Become a new device, with no user and no interests."""
        state = self.started()
        yield from self._delete()
        self._login = None
        clean = State(
            state.instance_id,
            state.platform,
            token=state.token,
            bundle_identifier=state.bundle_identifier,
        )
        yield from self._become(clean)
        if clean.token is not None:
            yield from self._register(clean.token, clean.bundle_identifier)

    def stop(self) -> Operation[None]:
        """Delete the device and forget everything."""
        self.started()
        yield from self._delete()
        self._login = None
        yield from self._become(None)

    def add_device_interest(self, interest: str) -> Operation[None]:
        """Subscribe to an interest."""
        check_interests([interest])
        path = f"interests/{path_segment(interest)}"
        yield from self._change(lambda changes: changes.adding(interest), ("POST", path))

    def remove_device_interest(self, interest: str) -> Operation[None]:
        """Unsubscribe from an interest."""
        check_interests([interest])
        path = f"interests/{path_segment(interest)}"
        yield from self._change(lambda changes: changes.removing(interest), ("DELETE", path))

    def set_device_interests(self, interests: Iterable[str]) -> Operation[None]:
        """Subscribe to exactly these interests."""
        names = check_interests(interests)
        yield from self._change(lambda changes: changes.setting(names))

    def handle_notification(self, payload: Payload, app_state: AppState) -> Operation[Handled]:
        """Say what becomes of a notification, and report it."""
        state = self.started()
        seconds = int((yield Call(self._clock)))
        handled = handle(self._platform, payload, app_state, state, seconds=seconds)
        if handled.event is not None:
            yield from self._call("POST", "events", handled.event, api="reporting_api/v2")
        return handled

    def _become(self, state: State | None) -> Operation[None]:
        """Take a state as ours, and keep it for the next launch."""
        self._state = state
        if state != self._saved:
            yield Call(partial(self._store.save, state))
            self._saved = state

    def _catch_up(self) -> Operation[None]:
        """Tell the server what it missed; one attempt, as on iOS."""
        state = self.started()
        if state.device_id is None:
            return
        if state.metadata != self._metadata:
            path = self._device_path("metadata")
            yield from self._call("PUT", path, self._metadata, retry=ONCE)
            yield from self._become(replace(state, metadata=self._metadata))
        if not state.is_in_step:
            yield from self._change_once(lambda changes: changes, retry=ONCE)

    def _register(self, token: str, bundle_identifier: str | None) -> Operation[None]:
        """
        Register, bring the interests into step, and log in who was logged in.

        The server knows a device again by its token, and its interests are the truth:
        ours are overwritten, but for what the app changed meanwhile. Only when we get
        another device than the one we had (another token, or the server lost it), the
        interests we had go with us.
        """
        before = self.started()
        body = registration(self._platform, token, bundle_identifier, self._metadata)
        answer = registered((yield from self._call("POST", f"devices/{self._platform}", body)))
        is_same = answer.device_id == before.device_id
        base = answer.interests if is_same or not before.interests else before.interests
        wanted = before.changes.apply(base)
        after = replace(
            before,
            device_id=answer.device_id,
            token=token,
            bundle_identifier=bundle_identifier,
            user_id=before.user_id if is_same else None,
            interests=answer.interests,
            changes=Changes() if wanted == answer.interests else Changes().setting(wanted),
            is_certain=True,
            metadata=self._metadata,
        )
        yield from self._become(after)
        if not after.is_in_step:
            yield from self._change_once(lambda changes: changes)
        if after.user_id is None and self._login is not None:
            yield from self._log_in_again(self._login)

    def _log_in(self, login: _Login) -> Operation[None]:
        bearer = yield from login.token_provider.fetch_token(login.user_id, retry=self._retry)
        yield from self._call("PUT", self._device_path("user"), bearer=bearer)
        self._login = login
        yield from self._become(replace(self.started(), user_id=login.user_id))

    def _log_in_again(self, login: _Login) -> Operation[None]:
        """Bind the user to a new device; a failure forgets the user, as on iOS."""
        try:
            yield from self._log_in(login)
        except DeviceError as error:
            _log.warning("user %s is not bound to the new device: %s", login.user_id, error)

    def _delete(self) -> Operation[None]:
        """Delete the device; one that the server does not know is deleted already."""
        if self.started().device_id is not None:
            with suppress(NotFound):
                yield from self._call("DELETE", self._device_path())

    def _change(self, edit: Edit, single: tuple[str, str] | None = None) -> Operation[None]:
        """
        Change the interests; a device that the server lost is created anew, once.

        Args:
            edit: The change.
            single: Method and path that tell a server in step just this; None is
                the whole set.
        """
        try:
            yield from self._change_once(edit, single)
        except NotFound:
            state = self.started()
            if state.token is None:  # a device id always came with its token
                raise
            yield from self._register(state.token, state.bundle_identifier)
            yield from self._change_once(edit, single)

    def _change_once(
        self, edit: Edit, single: tuple[str, str] | None = None, *, retry: Retry | None = None
    ) -> Operation[None]:
        state = self.started()
        changes = edit(state.changes)
        if state.device_id is None:
            yield from self._become(replace(state, changes=changes))
            return
        wanted = changes.apply(state.interests)
        if state.is_in_step and wanted == state.interests:
            return
        yield from self._become(replace(state, is_certain=False))
        if state.is_in_step and single is not None:
            method, path = single
            yield from self._call(method, self._device_path(path), retry=retry)
        else:
            body = {"interests": sorted(wanted)}
            yield from self._call("PUT", self._device_path("interests"), body, retry=retry)
        yield from self._become(
            replace(state, interests=wanted, changes=Changes(), is_certain=True)
        )

    def _device_path(self, *more: str) -> str:
        state = self.started()
        return "/".join(["devices", state.platform, path_segment(state.device_id or ""), *more])

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        bearer: str | None = None,
        retry: Retry | None = None,
        api: str = "device_api/v1",
    ) -> Operation[httpx.Response]:
        """Ask the server; a reply that is no success raises."""
        headers = {"accept": "application/json", "x-pusher-library": LIBRARY}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(body, separators=(",", ":")).encode()
        instance = path_segment(self.started().instance_id)
        url = f"{self._base_url}/{api}/instances/{instance}/{path}"
        request = httpx.Request(method, url, headers=headers, content=content)
        reply = yield from exchange(request, retry or self._retry)
        if not reply.is_success:
            raise refusal(reply)
        return reply


def check_interests(interests: Iterable[str]) -> frozenset[str]:
    """
    Read a set of interests.

    Raises:
        TypeError: It is a string, or something in it is not.
        ValueError: One of them breaks the rule for names, or there are too many.
    """
    if isinstance(interests, str):
        raise TypeError("interests are several strings, not one")
    names = frozenset(interests)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"interest {name!r} is not a string")
        if not _INTEREST.fullmatch(name):
            raise ValueError(
                f"interest {name!r} is not 1 to {MAX_NAME_CHARS} of A-Z a-z 0-9 _ - = @ , . ;"
            )
    if len(names) > MAX_INTERESTS:
        raise ValueError(f"a device has at most {MAX_INTERESTS} interests, not {len(names)}")
    return names
