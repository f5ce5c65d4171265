"""
A device's life as the web SDK lives it: nothing is queued, and nothing repeated.

No I/O, as in ``lifecycle``. The browser's subscription is the address; what the SDK does
with service worker and permission happens in the browser, not here.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from heliograph.client.asking import Failed
from heliograph.client.calls import Calls
from heliograph.client.endpoint import MAX_NAME_CHARS
from heliograph.client.errors import (
    NotRegistered,
    NotStarted,
    OtherInstance,
    StateError,
    UserAlreadySet,
)
from heliograph.client.lifecycle import check_interests
from heliograph.client.notifications import AppState, Handled, Payload, handle
from heliograph.client.profiles import Call, Profile
from heliograph.client.registration import DeviceToken, wire_token
from heliograph.client.state import State, Store
from heliograph.client.steps import Call as Outside
from heliograph.client.steps import Operation
from heliograph.client.tokens import BeamsTokenProvider

Answer = TypeVar("Answer")


class Browser:
    """One device: its state, and the operations on it."""

    def __init__(
        self,
        *,
        base_url: str,
        profile: Profile,
        metadata: dict[str, str],
        store: Store,
        clock: Callable[[], float],
    ) -> None:
        self._profile = profile
        self._calls = Calls(base_url, profile, metadata)
        self._store = store
        self._clock = clock
        self._state: State | None = None

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
        """Take up the stored state, or begin anew; nothing is sent."""
        if not instance_id:
            raise ValueError("instance_id cannot be the empty string")
        state: State | None = self._state
        if state is None:
            state = yield Outside(self._store.load)
        state = state or self._empty(instance_id)
        if state.profile != self._profile.name:
            raise StateError(f"the state is of profile {state.profile}, not {self._profile.name}")
        if state.instance_id != instance_id:
            raise OtherInstance(state.instance_id)
        yield from self._become(state)

    def register_device_token(
        self, token: DeviceToken, bundle_identifier: str | None
    ) -> Operation[None]:
        """
        Do as the SDK's ``start`` does with this subscription of the browser.

        A device that has registered it sends nothing. Another subscription than the one
        that was registered means that all of the old device is forgotten here (§4.5).
        """
        state = self.started()
        if bundle_identifier is not None:
            raise ValueError("only a device of apns has a bundle identifier")
        text = wire_token(self._profile.platform, token)
        if state.token not in {None, text}:
            yield from self._become(self._empty(state.instance_id))
        if self.started().device_id is None:
            yield from self._register(text)

    def set_user_id(self, user_id: str, token_provider: BeamsTokenProvider) -> Operation[None]:
        """Bind this device to a user, each time anew."""
        state = self._registered()
        if not user_id or len(user_id) > MAX_NAME_CHARS:
            raise ValueError(f"a user id has 1 to {MAX_NAME_CHARS} characters")
        if state.user_id not in {None, user_id}:
            raise UserAlreadySet(str(state.user_id))
        _unless_failed((yield from self._calls.set_user(Call.USER, state, user_id, token_provider)))
        yield from self._become(replace(state, user_id=user_id))

    def add_device_interest(self, interest: str) -> Operation[None]:
        """Subscribe to an interest."""
        check_interests([interest])
        state = self._registered()
        _unless_failed((yield from self._calls.add_interest(state, interest)))
        yield from self._become(replace(state, interests=state.interests | {interest}))

    def remove_device_interest(self, interest: str) -> Operation[None]:
        """Unsubscribe from an interest."""
        check_interests([interest])
        state = self._registered()
        _unless_failed((yield from self._calls.remove_interest(state, interest)))
        yield from self._become(replace(state, interests=state.interests - {interest}))

    def set_device_interests(self, interests: Iterable[str]) -> Operation[None]:
        """Subscribe to exactly these interests."""
        names = check_interests(interests)
        state = self._registered()
        _unless_failed((yield from self._calls.set_interests(Call.CHANGE, state, names)))
        yield from self._become(replace(state, interests=names))

    def stop(self) -> Operation[None]:
        """Delete the device and forget everything; if that fails, all stays as it was."""
        state = self.started()
        if state.device_id is not None:
            _unless_failed((yield from self._calls.delete(state)))
        yield from self._become(None)

    def clear_all_state(self) -> Operation[None]:
        """
        Stop, and register the subscription anew.

        A browser would have subscribed anew as well; here the address stays the same,
        which is the harder case for a server.
        """
        state = self.started()
        yield from self.stop()
        yield from self._become(self._empty(state.instance_id))
        if state.token is not None:
            yield from self._register(state.token)

    def handle_notification(self, payload: Payload, app_state: AppState) -> Operation[Handled]:
        """Say what the worker does with a notification, and report it, whatever comes of that."""
        state = self.started()
        seconds = int((yield Outside(self._clock)))
        handled = handle(self._profile.platform, payload, app_state, state, seconds=seconds)
        if handled.event is not None:
            yield from self._calls.report(state, handled.event)
        return handled

    def _register(self, token: str) -> Operation[None]:
        state = self.started()
        _unless_failed((yield from self._calls.vapid_key(state)))
        answer = _unless_failed((yield from self._calls.register(state, token)))
        yield from self._become(
            replace(state, device_id=answer.device_id, token=token, interests=answer.interests)
        )

    def _registered(self) -> State:
        state = self.started()
        if state.device_id is None:
            raise NotRegistered
        return state

    def _empty(self, instance_id: str) -> State:
        return State(instance_id, self._profile.platform, profile=self._profile.name)

    def _become(self, state: State | None) -> Operation[None]:
        self._state = state
        yield Outside(partial(self._store.save, state))


def _unless_failed(answer: Answer | Failed) -> Answer:
    """The answer; a failure is the app's to deal with."""
    if isinstance(answer, Failed):
        raise answer.error
    return answer
