"""``heliograph doctor``: what it finds, and what it makes of it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from builders import (
    MINUTE,
    NOW,
    Gateways,
    apns_certificate,
    apns_credentials,
    fcm_credentials,
    gateways_running,
)
from heliograph.app import storage
from heliograph.config import Settings
from heliograph.doctor import Finding, examine, examine_queue, judge_certificate, judge_workers
from heliograph.instances import Instances
from heliograph.model import (
    ApnsIdentity,
    Environment,
    FcmCredentials,
    Gateway,
    InstanceId,
    Lane,
    PauseKind,
)
from heliograph.queue.opening import broker
from heliograph.sandbox import Authority, provider_certificate
from heliograph.sandbox.devices import AppleEnvironment
from heliograph.sandbox.provider_certificate import BOTH
from heliograph.storage import lanes
from heliograph.storage.workers import WorkerRow
from jetstream import Nats, until

PRODUCTION, SANDBOX = AppleEnvironment.PRODUCTION, AppleEnvironment.SANDBOX


@pytest.fixture
async def gateways() -> AsyncIterator[Gateways]:
    """The doctor looks at the wall clock, and so must those it talks to."""
    async with gateways_running(lambda: datetime.now(UTC)) as running:
        yield running


def settings_of(folder: Path, **changes: Any) -> Settings:
    base: dict[str, Any] = {
        "data_dir": folder,
        "master_key": "a-master-key-of-tests",
        "admin_token": "an-admin-token-of-tests",
        "vapid_subject": "mailto:me@example.com",
    }
    return Settings(**(base | changes))


async def prepare(
    settings: Settings,
    *,
    apns: ApnsIdentity | None = None,
    fcm: FcmCredentials | None = None,
) -> None:
    """An instance called shop, with these credentials."""

    async def give(instances: Instances, shop: InstanceId) -> None:
        if apns is not None:
            assert await instances.set_apns(shop, apns)
        if fcm is not None:
            assert await instances.set_fcm(shop, fcm)

    async with storage(settings) as (_, instances):
        await give(instances, (await instances.create("shop")).id)


async def graded(settings: Settings) -> dict[str, str]:
    return {each.subject: each.grade for each in await examine(settings)}


async def found(settings: Settings, subject: str) -> Finding:
    (finding,) = [each for each in await examine(settings) if each.subject == subject]
    return finding


async def test_an_empty_database_lacks_an_instance(tmp_path: Path) -> None:
    """On the first day everything is fine but that there is no instance yet."""
    findings = await graded(settings_of(tmp_path))

    assert {
        "web push": "ok",
        "admin API": "ok",
        "database": "ok",
        "instances": "warning",
    } == findings


async def test_credentials_that_are_accepted_are_found_good(
    tmp_path: Path, gateways: Gateways
) -> None:
    """Each gateway was asked for real, and no device was disturbed."""
    settings = settings_of(tmp_path)
    await prepare(settings, apns=gateways.apns, fcm=gateways.fcm)

    findings = await graded(settings)

    assert ("ok", "ok", []) == (
        findings["shop: APNs"],
        findings["shop: FCM"],
        await gateways.inbox(),
    )


async def test_a_certificate_is_examined(tmp_path: Path, gateways: Gateways) -> None:
    """It is tried at Apple's, and if it is accepted, its date is told."""
    settings = settings_of(tmp_path)
    await prepare(settings, apns=gateways.apns_certificate)

    finding = await found(settings, "shop: APNs")

    assert ("ok", True) == (
        finding.grade,
        finding.sentence.startswith("the certificate is good until "),
    )


async def test_a_certificate_that_apple_does_not_take_is_a_fault(
    tmp_path: Path, gateways: Gateways
) -> None:
    """One from another authority does not get through the handshake."""
    settings = settings_of(tmp_path)
    stranger, key = provider_certificate.issue(Authority(), "com.example.app")
    await prepare(settings, apns=replace(gateways.apns_certificate, certificate=stranger, key=key))

    finding = await found(settings, "shop: APNs")

    assert ("fault", True) == (finding.grade, finding.sentence.startswith("cannot be reached: "))


@pytest.mark.parametrize(
    "kind, grade", [(PauseKind.REFUSED, "fault"), (PauseKind.UNAVAILABLE, "warning")]
)
async def test_a_lane_that_is_paused_is_told(
    tmp_path: Path, kind: PauseKind, grade: Literal["fault", "warning"]
) -> None:
    """Since when, why, and when it is tried again; only a refusal is the operator's to mend."""
    settings = settings_of(tmp_path)
    async with storage(settings) as (database, instances):
        lane = Lane((await instances.create("shop")).number, Gateway.APNS, Environment.SANDBOX)
        async with database.write() as connection:
            await lanes.pause(connection, lane, kind, "No", now=NOW, probe_at=NOW + MINUTE)

    finding = await found(settings, "shop: APNs sandbox lane")

    sentence = f"paused since 2026-01-02 03:04 UTC ({kind}): No; tried again at 03:05:05"
    assert Finding("shop: APNs sandbox lane", grade, sentence) == finding


DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "left, environments, grade, sentence",
    [
        (31 * DAY, BOTH, "ok", "the certificate is good until 2026-02-02"),
        (30 * DAY, BOTH, "ok", "the certificate is good until 2026-02-01"),
        (29 * DAY, BOTH, "warning", "the certificate expires on 2026-01-31: renew it"),
        (0 * DAY, BOTH, "fault", "the certificate expired on 2026-01-02"),
        (-DAY, BOTH, "fault", "the certificate expired on 2026-01-01"),
        (90 * DAY, {PRODUCTION}, "ok", "the certificate is good until 2026-04-02"),
        (90 * DAY, {SANDBOX}, "warning", "the certificate reaches apps in development only"),
    ],
)
def test_a_certificate_is_judged_by_its_date(
    left: timedelta, environments: set[AppleEnvironment], grade: str, sentence: str
) -> None:
    """A month before its end is the time to renew it; one for development is told as such."""
    certificate = apns_certificate(
        valid=(NOW - 300 * DAY, NOW + left), environments=frozenset(environments)
    )

    assert Finding("APNs", grade, sentence) == judge_certificate("APNs", certificate, now=NOW)  # type: ignore[arg-type]  # a table of texts


async def test_missing_credentials_are_a_warning(tmp_path: Path) -> None:
    """An instance may well do without Apple or Google."""
    settings = settings_of(tmp_path)
    await prepare(settings)

    findings = await graded(settings)

    assert ("warning", "warning") == (findings["shop: APNs"], findings["shop: FCM"])


async def test_a_service_account_that_is_refused_is_a_fault(
    tmp_path: Path, gateways: Gateways
) -> None:
    """The finding says what Google said, in its own word."""
    settings = settings_of(tmp_path)
    account = replace(gateways.fcm.service_account, client_email="stranger@example.com")
    await prepare(settings, fcm=FcmCredentials(account, gateways.fcm.endpoint, gateways.ca))

    finding = await found(settings, "shop: FCM")

    assert ("fault", "refused: token endpoint: invalid_grant") == (finding.grade, finding.sentence)


async def test_an_apple_key_that_is_refused_is_a_fault(tmp_path: Path, gateways: Gateways) -> None:
    """The finding says what Apple said, in its own word."""
    settings = settings_of(tmp_path)
    stranger = replace(apns_credentials(), endpoint=gateways.apns.endpoint, ca=gateways.ca)
    await prepare(settings, apns=stranger)

    finding = await found(settings, "shop: APNs")

    assert ("fault", "refused: InvalidProviderToken") == (finding.grade, finding.sentence)


async def test_an_endpoint_that_is_not_apples_is_a_fault(
    tmp_path: Path, gateways: Gateways
) -> None:
    """Whoever answers otherwise than Apple has not accepted the key."""
    settings = settings_of(tmp_path)
    await prepare(settings, apns=replace(gateways.apns, endpoint=gateways.fcm.endpoint))

    assert "fault" == (await found(settings, "shop: APNs")).grade


async def test_a_wrong_topic_of_a_good_key_is_not_taken_for_a_bad_key(
    tmp_path: Path, gateways: Gateways
) -> None:
    """The device that does not exist is refused before its topic could be."""
    settings = settings_of(tmp_path)
    await prepare(settings, apns=replace(gateways.apns, topic="com.example.other"))

    assert "ok" == (await found(settings, "shop: APNs")).grade


async def test_a_gateway_that_cannot_be_reached_is_a_fault(tmp_path: Path) -> None:
    """No reply is told apart from a refusal."""
    settings = settings_of(tmp_path)
    await prepare(
        settings,
        apns=apns_credentials(endpoint="https://127.0.0.1:1"),
        fcm=fcm_credentials(token_uri="https://127.0.0.1:2/token"),
    )

    apple, google = await found(settings, "shop: APNs"), await found(settings, "shop: FCM")

    assert [("fault", True), ("fault", True)] == [
        (each.grade, "ConnectError" in each.sentence) for each in (apple, google)
    ]


async def test_an_outage_is_a_fault(tmp_path: Path, gateways: Gateways) -> None:
    """A gateway that has troubles of its own has not accepted the credentials."""
    settings = settings_of(tmp_path)
    await prepare(settings, fcm=gateways.fcm)
    await gateways.go_wrong({"fault": "unavailable", "gateway": "oauth"})

    finding = await found(settings, "shop: FCM")

    assert ("fault", True) == (finding.grade, finding.sentence.startswith("unavailable"))


@pytest.mark.parametrize(
    "subject, grade",
    [
        ("mailto:push@example.com", "warning"),  # the default, which is nobody's
        ("mailto:me@example.com", "ok"),
        ("https://example.com/contact", "ok"),
        ("me@example.com", "fault"),
        ("mailto:me@localhost", "fault"),
    ],
)
async def test_the_contact_address_is_judged(tmp_path: Path, subject: str, grade: str) -> None:
    """Push services that refuse an address would refuse every push with it."""
    finding = await found(settings_of(tmp_path, vapid_subject=subject), "web push")

    assert (grade, True) == (finding.grade, subject in finding.sentence or grade != "ok")


@pytest.mark.parametrize(
    "settings, grade",
    [
        (Settings, "warning"),
        (lambda **more: Settings(**more, admin_token="short"), "warning"),
        (lambda **more: Settings(**more, admin_token="an-admin-token-of-tests"), "ok"),
    ],
    ids=["closed", "short", "open"],
)
async def test_the_admin_api_is_judged(
    tmp_path: Path, settings: Callable[..., Settings], grade: str
) -> None:
    """A closed admin API is worth a word, and so is a token that could be guessed."""
    finding = await found(settings(data_dir=tmp_path), "admin API")

    assert (grade, False) == (finding.grade, "an-admin-token" in finding.sentence)


async def test_another_master_key_is_a_fault(tmp_path: Path) -> None:
    """A database that cannot be read with this key is named as such."""
    await prepare(settings_of(tmp_path))

    finding = await found(settings_of(tmp_path, master_key="another-master-key"), "database")

    assert ("fault", True) == (finding.grade, "HELIOGRAPH_MASTER_KEY" in finding.sentence)


async def test_a_database_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    """A doctor that falls over the first illness is none."""
    (tmp_path / "a-file").touch()
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "no-database").write_bytes(b"x" * 4096)

    grades = [
        (await graded(settings_of(tmp_path, database_url=f"sqlite:///{tmp_path}/{name}")))[
            "database"
        ]
        for name in ("a-file/heliograph.db", "a-folder", "no-database")
    ]

    assert ["fault"] * 3 == grades


# --- workers -------------------------------------------------------------------------


def worker(host: str, version: str = "1.0") -> WorkerRow:
    return WorkerRow(host, host, version, started_at=NOW, seen_at=NOW)


@pytest.mark.parametrize(
    "workers, finding",
    [
        ([], Finding("workers", "warning", "none lives: what is published waits")),
        (
            [worker("one"), worker("two")],
            Finding("workers", "ok", "one (1.0), two (1.0)"),
        ),
        (
            [worker("one"), worker("two", "1.1")],
            Finding("workers", "warning", "of several versions: one (1.0), two (1.1)"),
        ),
    ],
)
def test_workers_are_judged(workers: list[WorkerRow], finding: Finding) -> None:
    """Somebody must deliver, and an upgrade should come to its end."""
    assert finding == judge_workers(workers)


async def test_workers_of_a_shared_database_are_looked_for(tmp_path: Path, shared_url: str) -> None:
    """Of a file there is one, which need not show itself."""
    shared = await examine(settings_of(tmp_path / "shared", database_url=shared_url))
    alone = await examine(settings_of(tmp_path / "alone"))

    assert ([judge_workers([])], []) == tuple(
        [each for each in findings if each.subject == "workers"] for findings in (shared, alone)
    )


async def test_examining_often_does_not_change_the_token(
    tmp_path: Path, gateways: Gateways
) -> None:
    """Apple refuses one that replaces a young one; that would stop the server beside us."""
    scenario = {"apns_limits_token_updates": True}
    (await gateways.management.put("/scenario", json=scenario)).raise_for_status()
    settings = settings_of(tmp_path)
    await prepare(settings, apns=gateways.apns)

    grades = [
        [each.grade for each in await examine(settings) if "APNs" in each.subject] for _ in range(2)
    ]

    assert [["ok"], ["ok"]] == grades


# --- queue ---------------------------------------------------------------------------


async def test_the_queue_is_examined(nats: Nats) -> None:
    """Where work goes through NATS, that is tried; what was given up is shown."""
    name = next(nats.names)
    settings = Settings(database_url="postgresql:///none", queue_url=nats.url, queue_name=name)
    first = await examine_queue(settings)
    opened = broker(settings)
    await opened.open()
    await opened.bury([b'{"work":1}'])
    count = 0

    async def is_kept() -> bool:
        nonlocal count
        count, _ = await opened.dead_letters()
        return count == 1

    await until(is_kept)
    await opened.close()

    assert [Finding("queue", "ok", "NATS has our streams; 0 tickets wait")] == first
    assert [
        *first,
        Finding("dead letters", "warning", '1 given up lately, the last: {"work":1}'),
    ] == await examine_queue(settings)


async def test_a_queue_that_cannot_be_reached_is_a_fault() -> None:
    """The setting is named, the password is not; without the setting there is nothing to say."""
    url = "nats://me:secret@127.0.0.1:1"
    settings = Settings(database_url="postgresql:///none", queue_url=url)

    (finding,) = await examine_queue(settings)

    assert ("fault", True, False) == (
        finding.grade,
        "HELIOGRAPH_QUEUE_URL" in finding.sentence,
        "secret" in finding.sentence,
    )
    assert [] == await examine_queue(Settings())
