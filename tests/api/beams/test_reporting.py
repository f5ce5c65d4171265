"""Beams' reporting API (contract §7): everybody is heard, nobody is turned away."""

from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from httpx import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from api.beams.words import ALERT, ORIGIN, Beams, problem
from builders import workshop_in
from heliograph.api.beams.reporting import Reporting, read_report
from heliograph.api.limits import Rate
from heliograph.api.problems import Problem
from heliograph.errors import Overloaded
from heliograph.instances import Instance
from heliograph.model import DeviceId, PublishId, UserId
from heliograph.pipeline.acknowledge import Acknowledge, Heard, Report
from support import ADMIN, in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

INSTANCE: Final = "1b880590-6301-4bb5-b34f-45db1c5f5644"


async def report(beams: Beams, body: Any, *, version: int = 2, **options: Any) -> Response:
    path = f"/reporting_api/v{version}/instances/{beams.instance.id}/events"
    return await beams.http.post(path, json=body, **options)


async def counts(beams: Beams, publish: str) -> tuple[int, int]:
    """How many devices have it, and on how many it was opened."""
    path = f"/admin/v1/instances/{beams.instance.id}/publishes/{publish}"
    shown = (await beams.http.get(path, headers=ADMIN)).json()
    return shown["delivered"], shown["opened"]


@pytest_asyncio.fixture(loop_scope="module")
async def published(beams: Beams) -> tuple[str, str]:
    """A publish, and the id of a device of its person."""
    device = await beams.new_device("fcm")
    await beams.log_in(device, "u")
    answer = await beams.publish(ALERT | {"users": ["u"]}, to="/users")
    return answer.json()["publishId"], device.rpartition("/")[2]


IOS: Final = {
    "event": "Delivery",
    "instanceId": INSTANCE,
    "timestampSecs": 1_700_000_000,
    "appInBackground": True,
    "hasDisplayableContent": True,
    "hasData": False,
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "event, expected",
    [
        ("Delivery", (1, 0)),
        ("delivery", (1, 0)),
        ("Open", (0, 1)),
        ("open", (0, 1)),
        ("OPEN", (0, 1)),
    ],
)
async def test_what_devices_say_is_counted(
    beams: Beams, published: tuple[str, str], version: int, event: str, expected: tuple[int, int]
) -> None:
    """§7, must-do 10, exchange 34: events in any case, on both paths, answered 200 and empty."""
    publish, device = published
    body = IOS | {"event": event, "publishId": publish, "deviceId": device}

    answers = [await report(beams, body, version=version) for _ in range(2)]

    assert [(200, b"")] * 2 == [(each.status_code, each.content) for each in answers]
    assert expected == await counts(beams, publish)


@pytest.mark.parametrize("user", [None, "u", "somebody-else"])
async def test_a_browsers_report_is_taken(
    beams: Beams, published: tuple[str, str], user: str | None
) -> None:
    """Exchange 35: userId may be null, and without instanceId; any origin may read the answer."""
    publish, device = published
    body = {
        "publishId": publish,
        "event": "open",
        "deviceId": device,
        "userId": user,
        "timestampSecs": 1_700_000_000,
        "appInBackground": True,
        "hasDisplayableContent": True,
        "hasData": False,
    }

    answer = await report(beams, body, headers=ORIGIN)

    assert (200, "*") == (answer.status_code, answer.headers["access-control-allow-origin"])
    assert (0, 1) == await counts(beams, publish)


async def test_browsers_ask_first(beams: Beams) -> None:
    """Must-do 9: a preflight is answered for the reporting API as well."""
    answer = await beams.http.options(
        f"/reporting_api/v2/instances/{beams.instance.id}/events",
        headers=ORIGIN
        | {
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )

    assert 200 == answer.status_code
    assert "POST" in answer.headers["access-control-allow-methods"]


@pytest.mark.parametrize(
    "change",
    [
        {"publishId": "pubid-unknown"},
        {"deviceId": "fcm-unknown"},
        {"deviceId": None},
        {"deviceId": ""},
        {"instanceId": "another"},
        {"timestampSecs": "soon", "appInBackground": 7},
    ],
)
async def test_what_cannot_be_used_is_answered_all_the_same(
    beams: Beams, published: tuple[str, str], change: dict[str, Any]
) -> None:
    """Must-do 7: iOS makes its device anew for as long as it is answered 404."""
    publish, device = published

    answer = await report(beams, IOS | {"publishId": publish, "deviceId": device} | change)

    assert 200 == answer.status_code


@pytest.mark.parametrize("name", ["00000000-0000-4000-8000-000000000000", "no-uuid"])
async def test_an_unknown_instance_is_no_404(beams: Beams, name: str) -> None:
    """Must-do 7, once more: the instance may have been deleted, its apps have not."""
    answer = await beams.http.post(
        f"/reporting_api/v2/instances/{name}/events",
        json=IOS | {"publishId": "pubid-1", "deviceId": "apns-1"},
    )

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    "body, sentence",
    [
        ({"publishId": "p", "deviceId": "d"}, "`event` and `publishId` are required"),
        ({"event": "Open", "deviceId": "d"}, "`event` and `publishId` are required"),
        ({"event": "Open", "publishId": None}, "`event` and `publishId` are required"),
        ({"event": "Close", "publishId": "p"}, "`event` must be Delivery or Open"),
        ({"event": 1, "publishId": "p"}, "`event` must be text"),
        ({"event": "Open", "publishId": ["p"]}, "`publishId` must be text"),
        ({"event": "Open", "publishId": "p", "deviceId": {}}, "`deviceId` must be text"),
        ({"event": "Open", "publishId": "p", "userId": 7}, "`userId` must be text"),
        ([], "The body is not a JSON object"),
    ],
)
async def test_what_no_retry_would_make_right_is_400(
    beams: Beams, body: Any, sentence: str
) -> None:
    """§7: type, JSON and missing fields; every SDK drops what is answered 400."""
    answer = await report(beams, body)

    assert (400, problem("Bad request", sentence)) == (answer.status_code, answer.json())


async def test_who_says_too_much_is_not_heard(tmp_path: Path) -> None:
    """Above the rate of an address: answered 200, which ends it, and not counted."""
    async with in_process(tmp_path, device_rate=1) as served:
        beams = Beams(served.product, served.instance, served.http, tmp_path)
        body = {"event": "Open", "publishId": "p", "deviceId": "d"}

        answers = [(await report(beams, body)).status_code for _ in range(3)]
        text = (await served.http.get("/metrics")).text

    assert [200, 200, 200] == answers
    assert 'heliograph_reports_total{result="limited",what="opened"} 2.0' in text


class Full(Acknowledge):
    """Has as many waiting as it can."""

    async def hear(self, instance: Instance, report: Report) -> Heard:
        del instance, report
        raise Overloaded("full")


async def test_a_fault_of_ours_is_no_5xx(tmp_path: Path) -> None:
    """Must-do 7: iOS would repeat it for ever; what was lost is counted."""
    async with workshop_in(tmp_path) as shop:
        instance = await shop.instance()
        full = Full(shop.database, shop.queue, shop.metrics, clock=shop.clock)
        routes = Reporting(shop.instances, full, Rate(10), shop.metrics, clock=shop.clock).routes()
        transport = httpx.ASGITransport(app=Starlette(routes=routes))
        async with httpx.AsyncClient(transport=transport, base_url="http://product") as http:
            answer = await http.post(
                f"/reporting_api/v2/instances/{instance.id}/events",
                json={"event": "Open", "publishId": "p", "deviceId": "d"},
            )

    assert 200 == answer.status_code
    lost = 'heliograph_reports_total{result="lost",what="opened"} 1.0'
    assert lost in shop.metrics.exposition().decode()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "event": anything | st.sampled_from(["Open", "delivery"]),
            "publishId": anything,
            "deviceId": anything,
            "userId": anything,
        },
    )
)
async def test_a_report_is_read_or_refused(body: dict[str, Any]) -> None:
    """Whatever JSON there is: a report of text, nothing, or a 400."""
    try:
        found = read_report(body)
    except Problem as problem_found:
        found, status = None, problem_found.status
    else:
        status = 200

    assert status in {200, 400}
    if found is not None:
        user = UserId(body["userId"]) if body.get("userId") else None
        named = PublishId(body["publishId"]), DeviceId(body["deviceId"]), user
        assert Report(found.what, *named) == found
