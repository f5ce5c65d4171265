"""The command line, as an operator types it."""

import asyncio
import json
from asyncio import to_thread
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from typer.testing import CliRunner, Result

from builders import MINUTE, NOW, add_device, apns_certificate, apns_credentials
from heliograph import __version__
from heliograph.app import storage
from heliograph.cli import commands, main
from heliograph.client.device import AsyncPushNotifications
from heliograph.config import Settings
from heliograph.model import ApnsIdentity, Gateway, InstanceId, Lane, PauseKind
from heliograph.storage import devices, lanes, migrations, watches
from heliograph.storage.watches import Watch
from processes import heliograph
from support import ADMIN_TOKEN


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Commands set up logging, which is global; leave it as it was."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of its own, named by the environment."""
    monkeypatch.setenv("HELIOGRAPH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HELIOGRAPH_ADMIN_TOKEN", ADMIN_TOKEN)
    monkeypatch.setenv("HELIOGRAPH_LOG_LEVEL", "error")
    return tmp_path


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(commands, arguments, input=answer)


def json_of(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


def test_the_version_is_printed() -> None:
    """``--version`` prints the package's version."""
    assert __version__ == run("--version").stdout.strip()


def test_without_a_command_help_is_shown() -> None:
    """``heliograph`` alone lists its commands."""
    result = run()

    assert all(word in result.output for word in ("serve", "dev", "instance", "doctor"))


def test_an_instance_lives_from_create_to_delete(folder: Path) -> None:
    """What create prints, list and show find, rotate-key changes and delete ends."""
    del folder
    made = json_of("instance", "create", "Shop")
    listed = json_of("instance", "list")
    shown = json_of("instance", "show", made["instance_id"])
    rotated = json_of("instance", "rotate-key", made["instance_id"])
    deleted = run("instance", "delete", made["instance_id"], "--yes")

    assert [("Shop", made["instance_id"])] == [
        (each["name"], each["instance_id"]) for each in listed
    ]
    assert 0 == shown["devices"]
    assert rotated["secret_key"] != made["secret_key"]
    assert 0 == deleted.exit_code
    assert [] == json_of("instance", "list")


def test_a_vapid_key_is_rotated(folder: Path) -> None:
    """The new key is printed, and show tells how far each key is in use, newest first."""
    del folder
    made = json_of("instance", "create", "Shop")["instance_id"]
    (first,) = json_of("instance", "show", made)["vapid_keys"]

    rotated = json_of("instance", "rotate-vapid", made)["vapid_public_key"]

    shown = json_of("instance", "show", made)["vapid_keys"]
    assert [(rotated, 0, True)] == [
        (each["public_key"], each["devices"], each["current"]) for each in shown
    ]
    assert rotated != first["public_key"]
    assert f"public_key: {rotated}" in run("instance", "show", made).output


def test_an_instance_shows_what_it_sends_to_apple_with(folder: Path) -> None:
    """A signing key by its name, a certificate by the day until which it is good."""

    async def give(instance: str, credentials: ApnsIdentity) -> None:
        async with storage(Settings(data_dir=folder)) as (_, instances):
            assert await instances.set_apns(InstanceId(instance), credentials)

    made = json_of("instance", "create", "Shop")["instance_id"]
    shown = []
    for credentials in (apns_credentials(), apns_certificate()):
        asyncio.run(give(made, credentials))
        shown.append(json_of("instance", "show", made))

    assert ["com.example.app"] * 2 == [each["apns"] for each in shown]
    assert "ABC123DEFG" == shown[0]["apns_key"]
    assert "3000-01-01T00:00:00+00:00" == shown[1]["apns_certificate_until"]


def test_an_instance_shows_which_lanes_are_paused(folder: Path) -> None:
    """With the gateway's word for it, and when it is tried again."""

    async def pause(instance: str) -> None:
        async with storage(Settings(data_dir=folder)) as (database, instances):
            found = await instances.find(instance)
            assert found is not None
            lane = Lane(found.number, Gateway.FCM, None)
            async with database.write() as connection:
                await lanes.pause(
                    connection, lane, PauseKind.REFUSED, "No", now=NOW, probe_at=NOW + MINUTE
                )

    made = json_of("instance", "create", "Shop")["instance_id"]
    before = json_of("instance", "show", made)["paused_lanes"]
    asyncio.run(pause(made))

    assert [] == before
    assert [
        {
            "gateway": "fcm",
            "environment": "",
            "kind": "refused",
            "reason": "No",
            "paused_at": "2026-01-02T03:04:05+00:00",
            "probe_at": "2026-01-02T03:05:05+00:00",
        }
    ] == json_of("instance", "show", made)["paused_lanes"]


def test_deleting_asks_first(folder: Path) -> None:
    """A no keeps the instance."""
    del folder
    made = json_of("instance", "create", "Shop")

    result = run("instance", "delete", made["instance_id"], answer="n\n")

    assert 1 == result.exit_code
    assert 1 == len(json_of("instance", "list"))


def test_no_listing_shows_a_secret(folder: Path) -> None:
    """Neither list nor show prints any of the four secrets."""
    del folder
    made = json_of("instance", "create", "Shop")

    printed = run("instance", "list").output + run("instance", "show", made["instance_id"]).output

    assert not any(made[name] in printed for name in ("secret_key", "client_secret", "app_secret"))


def test_a_problem_is_one_line_and_status_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown instance is told on standard error, without a traceback."""
    del folder
    monkeypatch.setattr("sys.argv", ["heliograph", "instance", "show", "nobody"])

    with pytest.raises(SystemExit) as ended:
        main()

    assert 1 == ended.value.code
    assert "heliograph: there is no instance nobody\n" == capsys.readouterr().err


def test_an_unknown_setting_names_the_nearest(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt variable stops every command, and says what was meant."""
    del folder
    monkeypatch.setenv("HELIOGRAPH_LISTN", "127.0.0.1:1")
    monkeypatch.setattr("sys.argv", ["heliograph", "instance", "list"])

    with pytest.raises(SystemExit):
        main()

    assert "did you mean HELIOGRAPH_LISTEN?" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (["--dialect", "ibm"], "only with --once"),
        (["--once", "--dialect", "esperanto"], "one of beams, ibm"),
    ],
)
def test_a_dialect_is_of_the_demonstration(
    folder: Path, arguments: list[str], problem: str
) -> None:
    """A server speaks every dialect, so only a demonstration can be of one, and of one we know."""
    del folder
    result = run("dev", *arguments)

    assert result.exit_code == 2
    assert problem in result.stderr


def test_publish_wants_people_or_interests(folder: Path) -> None:
    """Neither, or both, is a wrong call: exit status 2."""
    del folder
    neither = run("publish", "--title", "Hello")
    both = run("publish", "--title", "Hello", "--user", "u", "--interest", "i")

    assert [2, 2] == [neither.exit_code, both.exit_code]


def test_publish_wants_a_title(folder: Path) -> None:
    """To send there must be something to say; its sub-commands need no title."""
    del folder
    json_of("instance", "create", "Shop")

    untitled = run("publish", "--user", "u")
    shown = run("publish", "show", "pubid-1")

    assert (2, "there is no publish pubid-1") == (untitled.exit_code, str(shown.exception))


def test_a_device_that_is_not_there_is_not_restored(folder: Path) -> None:
    """An unknown id is a problem, and is named."""
    del folder
    json_of("instance", "create", "Shop")

    result = run("device", "restore", "apns-1")

    assert "there is no device apns-1" == str(result.exception)


def test_a_trace_wants_one_of_two(folder: Path) -> None:
    """Neither a device nor a user, or both, is a wrong call; what is not there is named."""
    del folder
    json_of("instance", "create", "Shop")

    wrong = [
        run("publish", "trace", "pubid-1", *more).exit_code
        for more in ((), ("--device", "d", "--user", "u"))
    ]
    unknown = run("publish", "trace", "pubid-1", "--device", "d")

    assert ([2, 2], "there is no publish pubid-1") == (wrong, str(unknown.exception))


def test_an_idempotency_key_that_cannot_be_is_a_wrong_call(folder: Path) -> None:
    """Nothing is sent, and the rule is told."""
    del folder
    json_of("instance", "create", "Shop")

    result = run("publish", "--title", "x", "--user", "u", "--idempotency-key", "two words")

    assert (2, True) == (result.exit_code, "visible ASCII" in result.output)


def test_pruned_devices_and_stopped_lanes_are_shown(folder: Path) -> None:
    """Who is out of service and why, and what resume-pruning lets go on."""
    made = json_of("instance", "create", "Shop")["instance_id"]

    async def prepare() -> str:
        async with storage(Settings(data_dir=folder)) as (database, instances):
            instance = await instances.find(made)
            assert instance is not None
            async with database.write() as connection:
                number = await add_device(connection, instance.number)
                await devices.prune(
                    connection,
                    number,
                    reason="BadTopic",
                    unless_registered_after=None,
                    is_quarantine=True,
                    now=NOW,
                )
                lane = Lane(instance.number, Gateway.APNS, None)
                await watches.keep(connection, lane, Watch(NOW, 9, 8, stopped_at=NOW))
                return await devices.id_of(connection, number)

    device = asyncio.run(prepare())
    listed = json_of("device", "list", "--pruned")
    shown = json_of("device", "show", device)
    stopped = json_of("instance", "show", made)["pruning_stopped"]
    examined = run("doctor").output
    resumed = [run("instance", "resume-pruning", made).stdout for _ in range(2)]

    assert [(device, "BadTopic", True, "")] == [
        (each["id"], each["prune_reason"], each["quarantined"], each["gone_since"])
        for each in listed
    ]
    assert ("BadTopic", None) == (shown["prune_reason"], shown["gone_since"])
    assert [("apns", 9, 8)] == [
        (each["gateway"], each["attempted"], each["doomed"]) for each in stopped
    ]
    assert "stopped for apns" in " ".join(examined.split())
    assert ["Resumed.\n", "Nothing was stopped.\n"] == resumed
    assert [] == json_of("instance", "show", made)["pruning_stopped"]


def test_a_device_that_is_not_there_is_not_shown(folder: Path) -> None:
    """An unknown id is a problem, and is named."""
    del folder
    json_of("instance", "create", "Shop")

    result = run("device", "show", "apns-1")

    assert "there is no device apns-1" == str(result.exception)


def test_migrate_tells_the_revision(folder: Path) -> None:
    """It makes the database if there is none, and says where it stands."""
    result = run("migrate")

    assert f"revision {migrations.newest()}" in result.output
    assert (folder / "heliograph.db").exists()


def test_where_migrating_is_a_step_of_its_own_only_migrate_does_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other commands say which step is missing."""
    del folder
    monkeypatch.setenv("HELIOGRAPH_MIGRATE_AT_START", "false")
    before = run("instance", "list")
    run("migrate")
    after = run("instance", "list")

    assert ("run `heliograph migrate`" in str(before.exception), 0) == (True, after.exit_code)


def test_doctor_tells_faults_by_its_status(folder: Path) -> None:
    """Warnings alone are status 0; a fault, here a lost master key, is status 1."""
    json_of("instance", "create", "Shop")
    well = run("doctor")
    (folder / "master.key").write_text("another key than the right one")

    ill = run("doctor")

    assert [0, 1] == [well.exit_code, ill.exit_code]
    assert "HELIOGRAPH_MASTER_KEY" in ill.output


async def test_publish_reaches_a_device_through_the_running_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``heliograph publish --user`` beside a running dev, then ``device list`` and ``delete``."""
    async with heliograph("dev", folder=folder) as dev:
        note = await dev.note("dev.json")
        monkeypatch.setenv("HELIOGRAPH_LISTEN", note["endpoint"].removeprefix("http://"))
        async with httpx.AsyncClient(base_url=note["sandbox"]["management"]) as sandbox:
            minted = await sandbox.post("/devices", json={"platform": "apns"})
        token = minted.json()["token"]
        async with AsyncPushNotifications(note["endpoint"]) as device:
            await device.start(note["instance_id"])
            await device.register_device_token(token)
            await device.add_device_interest("news")
            # A command runs a loop of its own, so it gets a thread of its own.
            published = await to_thread(run, "publish", "--title", "Hello", "--interest", "news")
            identity = published.stdout.strip()
            shown = await to_thread(json_of, "publish", "show", identity)
            watched = await to_thread(json_of, "publish", "show", identity, "--watch")
            cancelled = await to_thread(json_of, "publish", "cancel", identity)
            named = str(device.device_id)
            traced = await to_thread(json_of, "publish", "trace", identity, "--device", named)
            told = await to_thread(run, "publish", "trace", identity, "--device", named)
            known = await to_thread(json_of, "device", "show", named)
            again = [
                await to_thread(
                    run,
                    *("publish", "--title", "Hi", "--interest", "news"),
                    *("--idempotency-key", "once"),
                )
                for _ in range(2)
            ]
            listed = await to_thread(json_of, "device", "list")
            restored = await to_thread(run, "device", "restore", str(device.device_id))
            deleted = await to_thread(run, "device", "delete", str(device.device_id))

    assert published.stdout.startswith("pubid-")
    assert [identity] * 2 == [each["publish_id"] for each in (shown, cancelled)]
    assert {"interests": ["news"]} == shown["target"]
    assert ("finished", 1, 0) == (watched["state"], watched["sent"], watched["pending"])
    (attempt,) = traced[0]["attempts"]
    assert ("sent", "sent", 200, True) == (
        traced[0]["decision"],
        attempt["result"],
        attempt["status"],
        attempt["latency_ms"] >= 0,
    )
    assert "status: 200" in told.output
    assert (named, None, True) == (known["id"], known["suspicion"], "token" not in known)
    assert 1 == len({each.stdout for each in again if each.stdout.startswith("pubid-")})
    assert ["apns"] == [each["gateway"] for each in listed]
    assert [(0, "Restored.\n"), (0, "Deleted.\n")] == [
        (each.exit_code, each.stdout) for each in (restored, deleted)
    ]
    assert token not in json.dumps([*listed, known, traced])
