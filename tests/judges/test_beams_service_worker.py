"""Beams' own service worker, from the source in its package, and ours: they do the same."""

import json
from importlib.resources import files
from typing import Any, Final

from heliograph.api.beams import sdk
from judges.javascript import ask

INSTANCE: Final = "1b880590-6301-4bb5-b34f-45db1c5f5644"
PUSHER: Final = {
    "instanceId": INSTANCE,
    "publishId": "pubid-1",
    "hasDisplayableContent": True,
    "hasData": False,
}
NOTIFICATION: Final = {"title": "Hi", "body": "There", "icon": "https://site.example/i.png"}
HIDING: Final = NOTIFICATION | {"hide_notification_if_site_has_focus": True}
LINK: Final = "https://site.example/orders/7"
KEPT: Final = {"instance_id": INSTANCE, "device_id": "web-1", "token": "t", "user_id": "alice"}


def push(notification: object = NOTIFICATION, **others: Any) -> dict[str, Any]:
    """A push from us, to a browser that is somebody's, with nothing open."""
    payload = {"notification": notification, "data": {"order": 7, "pusher": PUSHER}}
    return {"kind": "push", "payload": json.dumps(payload), "record": KEPT} | others


def click(notification: object = NOTIFICATION, **others: Any) -> dict[str, Any]:
    """A click on what such a push showed."""
    customers = {"notification": notification, "data": {}}
    data = {"pusher": {"customerPayload": customers, "pusherMetadata": PUSHER}}
    return {"kind": "notificationclick", "data": data, "record": KEPT} | others


def window(url: str = "https://site.example/", *, focused: bool = False, **state: Any) -> object:
    """A window of the site, hidden unless it is said to be visible."""
    return {"url": url, "focused": focused, "visibilityState": "hidden"} | state


VISIBLE: Final = window(visibilityState="visible")

CASES: Final[dict[str, dict[str, Any]]] = {
    "shown": push(),
    "no icon": push({"title": "Hi", "body": "There"}),
    "data only": push({}),
    "null for text": push({"title": None, "body": None}),
    "hidden from who looks": push(HIDING, windows=[window(focused=True)]),
    "shown to who looks elsewhere": push(HIDING, windows=[window()]),
    "shown to who looks, unless asked": push(windows=[window(focused=True)]),
    "in the foreground": push(windows=[window(), VISIBLE]),
    "nobody is logged in": push(record=KEPT | {"user_id": None}),
    "never started": push(record=None),
    "a handler that does nothing": push(handler="ignore"),
    "a handler that shows another": push(handler="change"),
    "no body": {"kind": "push"},
    "no JSON": push(payload="{"),
    "no data": push(payload=json.dumps({"notification": NOTIFICATION})),
    "not from us": push(payload=json.dumps({"notification": NOTIFICATION, "data": {"a": 1}})),
    "clicked": click(),
    "clicked in the foreground": click(windows=[VISIBLE]),
    "link in a new window": click(NOTIFICATION | {"deep_link": LINK}, windows=[window()]),
    "link that is open": click(NOTIFICATION | {"deep_link": LINK}, windows=[window(LINK)]),
    "link of which one is the beginning": click(
        NOTIFICATION | {"deep_link": LINK}, windows=[window(LINK + "7")]
    ),
    "clicked, data only": click({}),
    "another's notification": click(data={"a": 1}),
}


async def test_ours_does_what_beams_own_does() -> None:
    """What is shown, reported, opened, focused, closed and handed to the site is the same."""
    question = {"ours": str(files(sdk) / "service-worker.js"), "cases": list(CASES.values())}
    answers = await ask("service_workers", question)
    theirs = {name: each["theirs"] for name, each in zip(CASES, answers, strict=True)}
    ours = {name: each["ours"] for name, each in zip(CASES, answers, strict=True)}

    assert theirs == ours
    assert {"shown": 10, "reports": 18, "opened": 2, "focused": 1, "handled": 2} == {
        what: sum(len(each[what]) for each in theirs.values())
        for what in ("shown", "reports", "opened", "focused", "handled")
    }
