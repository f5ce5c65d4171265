"""``heliograph webhook`` and ``heliograph insights``, as an operator types them."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from builders import NOW, add_device, add_publish
from heliograph import app
from heliograph.cli import commands, main
from heliograph.config import Settings
from heliograph.model import Gateway, UserId
from heliograph.notices import Opened
from heliograph.storage import calls, publishes
from heliograph.storage.calls import Attempt, New, State

URL = "https://me:pass-word@hooks.example.com/x"
OPENED = "v1.UserNotificationOpen"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Commands set up logging, which is global; leave it as it was."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with one instance in it."""
    monkeypatch.setenv("HELIOGRAPH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HELIOGRAPH_LOG_LEVEL", "error")
    assert 0 == run("instance", "create", "Shop").exit_code
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments)


def json_of(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert 0 == result.exit_code, result.output
    return json.loads(result.stdout)


def fill(folder: Path) -> None:
    """A publish that was sent to one device and opened there, and a dead call that tells of it."""

    async def do() -> None:
        async with app.storage(Settings(data_dir=folder)) as (database, instances):
            (instance,) = await instances.every()
            (webhook,) = await app.webhooks_of(database, instances).of_instance(instance)
            async with database.write() as connection:
                await add_device(connection, instance.number, user="alice")
                publish = await add_publish(connection, instance.number, now=app.now())
                await publishes.add_targeted(connection, publish, 1)
                await publishes.add_ends(connection, publish, {"sent": 1}, Gateway.APNS)
                await publishes.add_echoes(connection, {(publish, Gateway.APNS, "opened"): 1})
                new = New(instance.number, publish, webhook.number, Opened(UserId("alice")), "e")
                (call,) = await calls.add_all(connection, [new], now=NOW)
                attempt = Attempt(NOW, 3, None, "no answer within 3 seconds")
                await calls.settle(
                    connection, call, attempt, state=State.DEAD, again_at=None, now=app.now()
                )

    asyncio.run(do())


def test_a_webhook_lives_from_create_to_delete(shop: Path) -> None:
    """Its secret is printed once; a password in its address never."""
    del shop
    made = json_of("webhook", "create", URL, "--event", OPENED)
    listed = run("webhook", "list")
    deleted = run("webhook", "delete", made["id"])

    assert (OPENED, True) == (made["events"], made["secret"].startswith("whsec_"))
    assert made["id"] in listed.output
    assert not [word for word in (made["secret"], "pass-word") if word in listed.output]
    assert 0 == deleted.exit_code
    assert [] == json_of("webhook", "list")


def test_calls_are_shown_and_sent_again(shop: Path) -> None:
    """A dead one with what was wrong; sent again it is pending."""
    made = json_of("webhook", "create", URL)
    fill(shop)

    (call,) = json_of("webhook", "calls", "--state", "dead")
    shown = run("webhook", "calls", "--webhook", made["id"])
    one = run("webhook", "resend", call["id"])
    every = run("webhook", "resend", "--webhook", made["id"])

    assert (OPENED, "no answer within 3 seconds") == (
        call["event"],
        call["attempts"][0]["problem"],
    )
    assert "dead" in shown.output
    assert ["Calls to be made again: 1.\n", "Calls to be made again: 0.\n"] == [
        one.output,
        every.output,
    ]
    assert ["pending"] == [each["state"] for each in json_of("webhook", "calls")]


def test_the_dead_calls_of_a_webhook_are_sent_again_together(shop: Path) -> None:
    """All of them, by one command."""
    made = json_of("webhook", "create", URL)
    fill(shop)

    assert "again: 1." in run("webhook", "resend", "--webhook", made["id"]).output


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (("delete", "none"), "there is no webhook none"),
        (("calls", "--webhook", "none"), "there is no webhook none"),
        (("resend", "none"), "there is no call none"),
        (("resend", "--webhook", "none"), "there is no webhook none"),
        (("create", "nowhere"), "url: must be an http(s) address"),
        (("create", "https://a.example/", "--event", "v1.X"), "events: must be some of v1.Publish"),
    ],
)
def test_a_problem_is_one_line(
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    """On standard error, with exit status 1."""
    del shop
    monkeypatch.setattr("sys.argv", ["heliograph", "webhook", *arguments])

    with pytest.raises(SystemExit) as ended:
        main()

    assert 1 == ended.value.code
    assert sentence in capsys.readouterr().err.replace("\n", " ")


def test_what_is_sent_again_is_one_or_the_other(shop: Path) -> None:
    """A call, or a webhook's dead ones: not both, not neither."""
    del shop

    assert [2, 2] == [
        run("webhook", "resend").exit_code,
        run("webhook", "resend", "call", "--webhook", "hook").exit_code,
    ]


def test_insights_are_printed(shop: Path) -> None:
    """Who is reached, and a row for each day, or for each publish."""
    json_of("webhook", "create", URL)
    nothing = run("insights").output
    fill(shop)

    days, by_publish = run("insights").output, json_of("insights", "--by-publish")

    assert "Nothing was published." in nothing
    assert "Devices  1 (1 apns, 0 fcm, 0 web)" in days
    assert "apns 1/0/1" in days
    assert [(1, 1, 0, 1)] == [
        (each["targeted"], each["sent"], each["delivered"], each["opened"])
        for each in by_publish["publishes"]
    ]
    assert f"{app.now():%Y-%m-%d}" == json_of("insights")["days"][0]["date"]
