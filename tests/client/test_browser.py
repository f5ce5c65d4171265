"""What the web SDK asks, and what it makes of the answers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from client.fakes import INSTANCE, FakeBeams, FakeSleep, no_connection, no_fault, provider, status
from client.imitations import SUBSCRIPTION, imitation, registered
from heliograph.client import device

AUTH = "GET /pusher/beams-auth?user_id=u"
OTHER_SUBSCRIPTION = SUBSCRIPTION | {"endpoint": "https://push.example/def"}


@pytest.fixture
def beams() -> FakeBeams:
    return FakeBeams()


@pytest.fixture
def http(beams: FakeBeams) -> Iterator[httpx.Client]:
    with beams.client() as client:
        yield client


def test_a_first_visit(beams: FakeBeams, http: httpx.Client) -> None:
    """§4.12: the VAPID key, register, then each call as the site makes it."""
    app = registered(http, "web")
    app.set_user_id("u", provider())
    app.add_device_interest("hello")
    app.remove_device_interest("hello")
    app.set_device_interests(["b", "a", "b"])

    assert [
        "GET web-vapid-public-key",
        "POST devices/web",
        AUTH,
        "PUT devices/web/web-1/user",
        "POST devices/web/web-1/interests/hello",
        "DELETE devices/web/web-1/interests/hello",
        "PUT devices/web/web-1/interests",
    ] == beams.seen
    assert {"interests": ["a", "b"]} == beams.bodies[-1]


def test_a_later_visit(beams: FakeBeams, http: httpx.Client, tmp_path: Path) -> None:
    """§4.12: a device that is known sends nothing at its start, and its user each time."""
    imitation(http, "web", state_file=tmp_path / "state").register_device_token(SUBSCRIPTION)
    beams.forget_requests()
    again = imitation(http, "web", state_file=tmp_path / "state")
    again.register_device_token(SUBSCRIPTION)
    again.set_user_id("u", provider())
    again.set_user_id("u", provider())

    assert [AUTH, "PUT devices/web/web-1/user"] * 2 == beams.seen


def test_another_subscription_is_another_device(beams: FakeBeams, http: httpx.Client) -> None:
    """§4.12: the old device is forgotten here without a word to the server."""
    app = registered(http, "web")
    app.set_user_id("u", provider())
    beams.forget_requests()
    app.register_device_token(OTHER_SUBSCRIPTION)

    assert ["GET web-vapid-public-key", "POST devices/web"] == beams.seen
    assert ("web-2", None) == (app.device_id, app.user_id)


def test_clear_all_state(beams: FakeBeams, http: httpx.Client) -> None:
    """§4.12: stop, then start."""
    app = registered(http, "web")
    app.set_user_id("u", provider())
    beams.forget_requests()
    app.clear_all_state()

    assert [
        "DELETE devices/web/web-1",
        "GET web-vapid-public-key",
        "POST devices/web",
    ] == beams.seen
    assert ("web-2", None, []) == (app.device_id, app.user_id, app.get_device_interests())


@pytest.mark.parametrize("fault", [no_connection, *[status(each) for each in (400, 404, 422, 503)]])
@pytest.mark.parametrize(
    "operation",
    [
        lambda app: app.add_device_interest("hello"),
        lambda app: app.remove_device_interest("hello"),
        lambda app: app.clear_device_interests(),
        lambda app: app.stop(),
        lambda app: app.clear_all_state(),
        lambda app: app.register_device_token(OTHER_SUBSCRIPTION),
    ],
)
def test_every_failure_is_the_sites(
    beams: FakeBeams,
    http: httpx.Client,
    operation: Callable[[device.PushNotifications], None],
    fault: Callable[..., httpx.Response],
) -> None:
    """§4.9: one request, one error; nothing is repeated, and nothing created again."""
    sleep = FakeSleep(most=0)
    app = registered(http, "web", sleep=sleep)
    beams.forget_requests()
    beams.faults = [fault]

    with pytest.raises(device.DeviceError):
        operation(app)
    assert 1 == len(beams.seen)


def test_a_refused_deletion_leaves_all_as_it_was(beams: FakeBeams, http: httpx.Client) -> None:
    """§4.9: a lost device stays lost, and even stop fails."""
    app = registered(http, "web")
    beams.faults = [status(404)]

    with pytest.raises(device.NotFound):
        app.stop()
    assert "web-1" == app.device_id


def test_a_registration_without_an_id_is_an_error(beams: FakeBeams, http: httpx.Client) -> None:
    """§4.3: the web reads the id and nothing else."""
    app = imitation(http, "web")
    beams.faults = [no_fault, lambda _a, _r: httpx.Response(200)]
    with pytest.raises(device.UnexpectedReply):
        app.register_device_token(SUBSCRIPTION)
    beams.faults = [no_fault, lambda _a, _r: httpx.Response(200, json={"id": "web-9"})]
    app.register_device_token(SUBSCRIPTION)

    assert "web-9" == app.device_id


def test_it_has_to_be_registered(http: httpx.Client) -> None:
    """§4.12: everything but start is an error before it."""
    app = imitation(http, "web")

    operations: list[Callable[[], None]] = [
        lambda: app.add_device_interest("hello"),
        lambda: app.set_user_id("u", provider()),
    ]
    for operation in operations:
        with pytest.raises(device.NotRegistered):
            operation()
    app.stop()
    app.start(INSTANCE)


def test_another_user_is_refused_here(beams: FakeBeams, http: httpx.Client) -> None:
    """§4.12: changing the user is an error of the site's, and nothing is sent."""
    app = registered(http, "web")
    app.set_user_id("u", provider())
    beams.forget_requests()

    with pytest.raises(device.UserAlreadySet):
        app.set_user_id("v", provider())
    assert [] == beams.seen
