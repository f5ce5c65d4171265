"""
A device's life as the SDKs of iOS and Android live it, with their endless patience.

Rules for whoever edits this file:

* No I/O, as in ``lifecycle``; and as there, the state is changed in ``_become`` only.
* The app's calls become jobs of a queue that is part of the state (``jobs``). They change
  what is known here at once, the server later.
* A job stays in the queue until it is over. When a pause is broken off (``sleep`` raises),
  or the process ends, it is still there, and goes on with the next call, or launch.
* What depends on an answer is looked up in the profile's tables, never decided here.
* A device that is created anew again and again, without a pause between, still yields one
  of no seconds, so that whoever runs us can count.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final
from uuid import UUID

from heliograph.client.asking import Failed
from heliograph.client.calls import Calls
from heliograph.client.endpoint import MAX_NAME_CHARS
from heliograph.client.errors import (
    DeviceError,
    NotStarted,
    OtherInstance,
    StateError,
    UserAlreadySet,
)
from heliograph.client.jobs import (
    Job,
    Launch,
    LogIn,
    Refresh,
    Register,
    Report,
    SetInterests,
    Stop,
    Subscribe,
    Unsubscribe,
    is_registered_after,
    lasting,
    replay,
)
from heliograph.client.lifecycle import check_interests
from heliograph.client.notifications import AppState, Handled, Payload, handle
from heliograph.client.profiles import Call, Profile, Reaction
from heliograph.client.registration import DeviceToken, wire_token
from heliograph.client.state import State, Store
from heliograph.client.steps import Call as Outside
from heliograph.client.steps import Operation, Pause
from heliograph.client.tokens import BeamsTokenProvider

_log: Final = logging.getLogger(__name__)

Change = Subscribe | Unsubscribe | SetInterests


class Mobile:
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
        self._saved: State | None = None
        self._is_started = False
        self._token_provider: BeamsTokenProvider | None = None

    # --- what the app calls --------------------------------------------------------------

    @property
    def state(self) -> State | None:
        """What is known now; None before ``start``, and after ``stop`` once it is over."""
        return self._state

    def started(self) -> State:
        """What is known now; raises NotStarted before ``start`` and after ``stop``."""
        if self._state is None or not self._is_started:
            raise NotStarted
        return self._state

    def start(self, instance_id: str) -> Operation[None]:
        """Take up the stored state and what is still to be done, or begin anew."""
        if self._profile.platform == "apns":
            UUID(instance_id)  # what is none, iOS does not start with (§1)
        if not instance_id:
            raise ValueError("instance_id cannot be the empty string")
        state = self._state
        if state is None:
            self._saved = yield Outside(self._store.load)
            state = self._saved or State(
                instance_id, self._profile.platform, profile=self._profile.name
            )
        if state.profile != self._profile.name:
            raise StateError(f"the state is of profile {state.profile}, not {self._profile.name}")
        if state.instance_id != instance_id:
            raise OtherInstance(state.instance_id)
        if self._state is None:  # a new process: who is to be logged in is not known any more
            state = replace(state, jobs=lasting(state.jobs))
        self._is_started = True
        yield from self._become(state)
        yield from self._do(Launch())

    def register_device_token(
        self, token: DeviceToken, bundle_identifier: str | None
    ) -> Operation[None]:
        """Register; an Android device that did so before tells its address if it is new."""
        state = self.started()
        text = wire_token(self._profile.platform, token)
        if bundle_identifier is not None:
            if self._profile.platform != "apns":
                raise ValueError("only a device of apns has a bundle identifier")
            yield from self._become(replace(state, bundle_identifier=bundle_identifier))
        is_known = is_registered_after(state.jobs, state.device_id is not None)
        if self._profile.platform == "fcm" and is_known:
            yield from self._do(Refresh(text))
        else:
            yield from self._do(Register(text))

    def set_user_id(self, user_id: str, token_provider: BeamsTokenProvider) -> Operation[None]:
        """Bind this device to a user, now or once it is registered."""
        state = self.started()
        if not user_id or len(user_id) > MAX_NAME_CHARS:
            raise ValueError(f"a user id has 1 to {MAX_NAME_CHARS} characters")
        if state.claimed_user not in {None, user_id}:
            raise UserAlreadySet(str(state.claimed_user))
        self._token_provider = token_provider
        yield from self._become(replace(state, claimed_user=user_id))
        yield from self._do(LogIn(user_id))

    def add_device_interest(self, interest: str) -> Operation[None]:
        """Subscribe to an interest."""
        check_interests([interest])
        known = self.started().interests
        change = Subscribe(interest, is_news=interest not in known)
        yield from self._change(change, known | {interest})

    def remove_device_interest(self, interest: str) -> Operation[None]:
        """Unsubscribe from an interest."""
        check_interests([interest])
        known = self.started().interests
        change = Unsubscribe(interest, is_news=interest in known)
        yield from self._change(change, known - {interest})

    def set_device_interests(self, interests: Iterable[str]) -> Operation[None]:
        """Subscribe to exactly these interests."""
        names = check_interests(interests)
        change = SetInterests(names, is_news=names != self.started().interests)
        yield from self._change(change, names)

    def stop(self) -> Operation[None]:
        """Forget everything here at once, and delete the device."""
        yield from self._leave()
        self._is_started = False
        yield from self._do(Stop())
        state = self._known()
        if state.device_id is None and not is_registered_after(state.jobs, is_registered=False):
            yield from self._become(None)

    def clear_all_state(self) -> Operation[None]:
        """Become a new device at the same address, with no user and no interests."""
        token = self.started().token
        yield from self._leave()
        # The token is known when this is asked for, not when the deletion is over (§4.12).
        jobs: list[Job] = [Stop(), Launch()]
        yield from self._do(*jobs, *([] if token is None else [Register(token)]))

    def handle_notification(self, payload: Payload, app_state: AppState) -> Operation[Handled]:
        """Say what becomes of a notification, and report it."""
        state = self.started()
        seconds = int((yield Outside(self._clock)))
        handled = handle(self._profile.platform, payload, app_state, state, seconds=seconds)
        if handled.event is not None and not self._is_reported(handled.event):
            yield from self._do(Report(handled.event))
        return handled

    # --- the queue -----------------------------------------------------------------------

    def _do(self, *jobs: Job) -> Operation[None]:
        """
        Queue jobs, and go on until nothing is left that can be done now.

        Raises:
            DeviceError: What the app is told of, after all was done: the first, if several.
        """
        yield from self._put(jobs=self._known().jobs + jobs)
        told: list[DeviceError] = []
        while (job := self._next()) is not None:
            failed = yield from self._perform(job)
            if failed is not None and failed.reaction is Reaction.CRASH:
                raise failed.error
            if failed is not None and failed.reaction is Reaction.TELL:
                told.append(failed.error)
            yield from self._put(jobs=self._without(job))
        if told:
            raise told[0]

    def _next(self) -> Job | None:
        """What is to be done first: unregistered, only a registration can be."""
        state = self._known()
        able = [
            job for job in state.jobs if state.device_id is not None or isinstance(job, Register)
        ]
        if self._profile.reports_apart:
            able.sort(key=lambda job: isinstance(job, Report))
        return able[0] if able else None

    def _without(self, job: Job) -> tuple[Job, ...]:
        """The queue after a job; a registration settled all that waited before it."""
        jobs = list(self._known().jobs)
        place = jobs.index(job)
        if isinstance(job, Register):
            return tuple(jobs[place + 1 :])
        return tuple(jobs[:place] + jobs[place + 1 :])

    def _perform(self, job: Job) -> Operation[Failed | None]:
        match job:
            case Register(token):
                return (yield from self._register(token))
            case Launch():
                yield from self._catch_up()
                return None
            case Stop():
                yield from self._delete()
                return None
            case _:
                return (yield from self._insist(job))

    def _insist(self, job: Job) -> Operation[Failed | None]:
        """Do a job; if the server has lost the device, create it anew and do it again."""
        while True:
            failed = yield from self._once(job)
            if failed is None or failed.reaction is not Reaction.RECREATE:
                return failed
            lost = yield from self._recreate()
            if lost is not None:
                return lost
            yield Pause(0.0)

    def _once(self, job: Job) -> Operation[Failed | None]:
        state = self._known()
        match job:
            case LogIn(user_id):
                return (yield from self._log_in(user_id))
            case Refresh(token):
                return (yield from self._refresh(token))
            case Report(event):
                return (yield from self._calls.report(state, event))
            case Subscribe(interest, is_news=True):
                return (yield from self._calls.add_interest(state, interest))
            case Unsubscribe(interest, is_news=True):
                return (yield from self._calls.remove_interest(state, interest))
            case SetInterests(names, is_news=True):
                return (yield from self._calls.set_interests(Call.CHANGE, state, names))
            case _:
                return None

    # --- what is asked of the server -----------------------------------------------------

    def _register(self, token: str) -> Operation[Failed | None]:
        """Register, and bring the interests and the user to the device (§4.3)."""
        answer = yield from self._calls.register(self._known(), token)
        if isinstance(answer, Failed):
            yield from self._not_registered(token, answer)
            return answer
        queue = self._known().jobs
        if not self._profile.replays_all:
            queue = queue[: queue.index(Register(token))]
        wanted, outstanding = replay(queue, answer.interests)
        yield from self._put(device_id=answer.device_id, token=token, interests=wanted)
        failed: Failed | None = None
        if wanted != answer.interests:
            failed = yield from self._calls.set_interests(Call.RESTORE, self._known(), wanted)
        for job in [] if _is_crash(failed) else outstanding:
            failed = (yield from self._insist(job)) or failed
        return failed

    def _not_registered(self, token: str, failed: Failed) -> Operation[None]:
        if failed.reaction is Reaction.RESTART:
            yield from self._put(jobs=(*self._known().jobs, Register(token)))
            yield Pause(0.0)
        else:
            _log.warning("the SDK does not start: %s", type(failed.error).__name__)

    def _recreate(self) -> Operation[Failed | None]:
        """Register the device that the server lost, with all that is known here (§4.10)."""
        token = self._known().token or ""  # a device id always came with its token
        answer = yield from self._calls.register(self._known(), token)
        if isinstance(answer, Failed):
            return Failed(Reaction.DROP, answer.error)
        yield from self._put(device_id=answer.device_id)
        if self._profile.platform == "fcm":
            yield from self._put(confirmed_hash=None)
        state = self._known()
        if state.interests:
            failed = yield from self._calls.set_interests(Call.RESTORE, state, state.interests)
            if _is_crash(failed):
                return failed
        if state.user_id is not None:
            failed = yield from self._bind(Call.USER_AGAIN, state.user_id)
            if failed is not None:
                yield from self._put(user_id=None)
        return None

    def _catch_up(self) -> Operation[None]:
        """Tell metadata and interests if they are news; one try each (§4.4, §4.5)."""
        failed, about = None, dict(self._calls.metadata)
        if self._known().metadata != about:
            failed = yield from self._calls.set_metadata(self._known())
            if failed is None:
                yield from self._put(metadata=about)
        if failed is not None and self._profile.platform == "fcm":
            return  # Android leaves the whole job at its first failure
        state = self._known()
        name = self._profile.interests_hash(state.interests)
        if name != state.confirmed_hash:
            failed = yield from self._calls.set_interests(Call.CATCH_UP, state, state.interests)
            if failed is None:
                yield from self._put(confirmed_hash=name)

    def _delete(self) -> Operation[None]:
        yield from self._calls.delete(self._known())
        yield from self._put(
            device_id=None, token=None, user_id=None, metadata={}, confirmed_hash=None
        )

    def _log_in(self, user_id: str) -> Operation[Failed | None]:
        if self._profile.platform == "fcm" and self._known().user_id == user_id:
            return None  # Android asks nobody (§4.12)
        failed = yield from self._bind(Call.USER, user_id)
        if failed is None:
            yield from self._put(user_id=user_id)
        return failed

    def _bind(self, call: Call, user_id: str) -> Operation[Failed | None]:
        provider = self._token_provider
        return (yield from self._calls.set_user(call, self._known(), user_id, provider))

    def _refresh(self, token: str) -> Operation[Failed | None]:
        if token == self._known().token:
            return None
        failed = yield from self._calls.set_token(self._known(), token)
        if failed is None:
            yield from self._put(token=token)
        return failed

    # --- the state -----------------------------------------------------------------------

    def _known(self) -> State:
        """The state, also while a stop is under way."""
        if self._state is None:
            raise NotStarted
        return self._state

    def _become(self, state: State | None) -> Operation[None]:
        """Take a state as ours, and keep it for the next launch."""
        self._state = state
        if state != self._saved:
            yield Outside(partial(self._store.save, state))
            self._saved = state

    def _put(self, **changes: object) -> Operation[None]:
        yield from self._become(replace(self._known(), **changes))  # type: ignore[arg-type]

    def _change(self, change: Change, interests: frozenset[str]) -> Operation[None]:
        """Change the interests here, and queue the news; Android queues nothing else."""
        yield from self._put(interests=interests)
        if change.is_news or self._profile.platform == "apns":
            yield from self._do(change)

    def _leave(self) -> Operation[None]:
        """Forget what the app asked for, before the server has heard of it."""
        state = self.started()
        yield from self._become(replace(state, interests=frozenset(), claimed_user=None))

    def _is_reported(self, event: Mapping[str, object]) -> bool:
        """Whether Android has work of this publish's already: it has one of each at a time."""
        return self._profile.reports_apart and any(
            isinstance(job, Report)
            and (job.event["event"], job.event["publishId"]) == (event["event"], event["publishId"])
            for job in self._known().jobs
        )


def _is_crash(failed: Failed | None) -> bool:
    return failed is not None and failed.reaction is Reaction.CRASH
