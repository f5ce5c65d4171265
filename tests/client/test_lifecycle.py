"""Whatever happens to a device, it and the server agree."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from client.fakes import (
    INSTANCE,
    FakeBeams,
    FakeSleep,
    no_connection,
    no_fault,
    provider,
    reply_lost,
    status,
)
from heliograph.client import device

ATTEMPTS = 2
names = st.sampled_from(["a", "b", "c"])
users = st.sampled_from(["user-001", "user-002"])


class DeviceAndServer(RuleBasedStateMachine):
    """
    One device with a state file, its server, and all that can happen to either.

    Faults may outlast the attempts or not. While the reply to something is lost the two
    may disagree, until the device logs out: then they agree again. Push services hand
    out new addresses but never an old one again, and so does this test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.beams = FakeBeams()
        self.http = self.beams.client()
        self.folder = Path(tempfile.mkdtemp())
        self.token = 0
        self.is_in_doubt = False
        self.app = self.new_process()

    def teardown(self) -> None:
        self.http.close()
        shutil.rmtree(self.folder)

    def new_process(self) -> device.PushNotifications:
        app = device.PushNotifications(
            "http://beams.example",
            state_file=self.folder / "device.json",
            http_client=self.http,
            sleep=FakeSleep(),
            retry=device.Retry(attempts=ATTEMPTS, jitter=lambda: 0.0),
        )
        app.start(INSTANCE)
        return app

    def attempt(self, operation: object, *arguments: object) -> None:
        """Do it, or not: an error is allowed, disagreement is not."""
        assert callable(operation)
        with suppress(device.DeviceError):
            operation(*arguments)
        self.beams.faults.clear()

    @rule(is_new=st.booleans())
    def register(self, is_new: bool) -> None:
        self.token += is_new
        self.attempt(self.app.register_device_token, f"token {self.token}")

    @rule(user=users, session=st.sampled_from(["session", "expired"]))
    def log_in(self, user: str, session: str) -> None:
        self.attempt(self.app.set_user_id, user, provider(session))

    @rule()
    def log_out(self) -> None:
        self.attempt(self.app.clear_all_state)

    @rule()
    def stop_and_start(self) -> None:
        self.attempt(self.app.stop)
        self.app.start(INSTANCE)

    @rule(name=names)
    def add(self, name: str) -> None:
        self.attempt(self.app.add_device_interest, name)

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.attempt(self.app.remove_device_interest, name)

    @rule(some=st.sets(names))
    def set_all(self, some: set[str]) -> None:
        self.attempt(self.app.set_device_interests, some)

    @rule()
    def restart(self) -> None:
        self.app = self.new_process()

    @rule(
        skip=st.integers(0, 4),
        count=st.integers(1, 4),
        kind=st.sampled_from([no_connection, reply_lost, status(503), status(429), status(400)]),
    )
    def arm(self, skip: int, count: int, kind: object) -> None:
        """Faults for the next operation: some requests pass, then some fail."""
        assert callable(kind)
        self.beams.faults = [*[no_fault] * skip, *[kind] * count]
        self.is_in_doubt |= kind is reply_lost

    @precondition(lambda self: self.app.device_id is not None)
    @rule()
    def server_loses_the_device(self) -> None:
        """And the device notices at once, by its next change of interests."""
        self.beams.faults.clear()
        self.beams.devices.pop(str(self.app.device_id), None)
        present = "a" in self.app.get_device_interests()
        (self.app.remove_device_interest if present else self.app.add_device_interest)("a")

    @rule()
    def settle(self) -> None:
        """A registration and a log-out that reach the server end every doubt."""
        self.beams.faults.clear()
        self.app.register_device_token(f"token {self.token}")
        self.app.clear_all_state()
        self.is_in_doubt = False
        assert [] == self.app.get_device_interests()

    @precondition(lambda self: not self.is_in_doubt)
    @invariant()
    def both_agree(self) -> None:
        mine = self.app.device_id
        if mine is None:
            assert self.app.user_id is None
            return
        theirs = self.beams.devices[mine]
        assert theirs.user == (self.app.user_id or "")
        assert theirs.interests == set(self.app.get_device_interests()) or self.is_pending()

    def is_pending(self) -> bool:
        """Whether interests of before the registration still wait to be sent."""
        text = (self.folder / "device.json").read_text()
        return '"replaces": true' in text

    @invariant()
    def a_restart_would_change_nothing(self) -> None:
        before = (self.app.device_id, self.app.user_id, self.app.get_device_interests())
        faults, self.beams.faults = self.beams.faults, [no_connection] * 9
        again = self.new_process()
        self.beams.faults = faults
        assert before == (again.device_id, again.user_id, again.get_device_interests())


DeviceAndServer.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestDeviceAndServer = DeviceAndServer.TestCase
