"""
The exchanges of the contract (§13), request by request, as SDKs were recorded or read.

Those of one number are one story: they are asked in order, of one instance. ``{B}`` is the path
of the instance; ``{message}`` the id that a message was given.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

WEB: Final = {"content-type": "application/json; charset = UTF-8"}
SWIFT: Final = WEB | {"x-rewrite-domain": "https://push.example"}
ANDROID: Final = {
    "content-type": "application/json",
    "accept": "application/json",
    "x-rewrite-domain": "https://push.example",
}
NODE: Final = {"content-type": "application/json"}
CLIENT: Final = {"clientsecret": "{client}"}
BACKEND: Final = {"appsecret": "{app}"}
TOKEN: Final = {"authorization": "{token}"}
"""Without ``Bearer``, as IBM's own migration tool sends it."""

TEXT: Final = re.compile(r".+", re.DOTALL)
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MILLISECONDS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MESSAGE_ID: Final = re.compile(r"[0-9A-Za-z]{8}")
KEY: Final = re.compile(r"B[\w-]{86}")

BROWSER: Final = "{browser}"
IPHONE: Final = "46f5" * 16


def place(rest: str) -> re.Pattern[str]:
    """An absolute address below the instance."""
    return re.compile(r"https?://[^/]+/imfpush/v1/apps/[0-9a-f-]{36}" + re.escape(rest))


def error(code: str) -> dict[str, Any]:
    """An error, in whatever words."""
    return {"message": TEXT, "code": code}


def device(name: str, token: str, platform: str, user: str, **more: Any) -> dict[str, Any]:
    """A device as it is told."""
    return {
        "deviceId": name,
        "token": token,
        "platform": platform,
        "userId": user,
        "createdTime": INSTANT,
        "lastUpdatedTime": INSTANT,
        "createdMode": "API",
        "href": place(f"/devices/{name}"),
        "userAgent": "SDK",
        **more,
    }


def tag(name: str, **more: str) -> dict[str, Any]:
    """A tag as it is told."""
    return {
        "uri": place(f"/tags/{name}"),
        "name": name,
        "createdTime": INSTANT,
        "lastUpdatedTime": INSTANT,
        "createdMode": "API",
        "href": place(f"/tags/{name}"),
        **more,
    }


def subscription(name: str, device: str, **more: str) -> dict[str, Any]:
    """A subscription as it is told."""
    return {
        "tagName": name,
        "subscriptionId": re.compile(r"[\w-]+"),
        "deviceId": device,
        "href": place(f"/subscriptions?tagName={name}&deviceId={device}"),
        **more,
    }


def page(count: int) -> dict[str, Any]:
    """Where a list stands that is one page."""
    return {"count": count, "totalCount": count, "next": "", "previous": ""}


NOT_FOUND: Final[dict[str, Any]] = {
    "tags": [],
    "message": "Not Found - Targeted resource 'tagNames' does not exist. "
    "Check the 'tags' parameter",
    "code": "FPWSE0001E",
}

SENT: Final[dict[str, Any]] = {
    "message": {"alert": "hi", "url": "https://x"},
    "target": {"userIds": ["u1", "u2"]},
    "settings": {
        "gcm": {
            "priority": "HIGH",
            "visibility": "PRIVATE",
            "style": {"type": "BIGTEXT_NOTIFICATION", "title": "t", "text": "x"},
            "lights": {"ledArgb": "RED", "ledOnMs": 1, "ledOffMs": 2},
        },
        "apns": {"badge": 1},
    },
}
SUMMARY: Final = {
    "createdTime": MILLISECONDS,
    "messageId": MESSAGE_ID,
    "alert": "hi",
    "href": re.compile(r"https?://[^/]+/imfpush/v1/apps/[0-9a-f-]{36}/messages/[0-9A-Za-z]{8}"),
}
HOOK: Final = {"name": "w1", "url": "https://u:p@h/cb", "eventTypes": "onDeviceRegister"}


@dataclass(frozen=True, slots=True)
class Row:
    """A request, and how it is answered."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: Any = ...
    """JSON; ``...`` is none at all, None is ``null``."""
    status: int = 200
    reply: Any = None
    """The whole JSON of the reply; a pattern matches text. None is an empty body."""
    more: dict[str, str] = field(default_factory=dict)


def _web(user: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"deviceId": "webdev1", "token": BROWSER, "platform": "WEB_FIREFOX"}
    return body if user is None else body | {"userId": user}


def _is(user: str) -> dict[str, Any]:
    return device("webdev1", BROWSER, "WEB_FIREFOX", user)


def _registered(number: int, name: str = "D", platform: str = "A") -> Row:
    """A device that is there before the story begins."""
    token = IPHONE if platform == "A" else "T"
    body = {"deviceId": name, "token": token, "platform": platform, "userId": "u1"}
    told = device(name, token, platform, "u1")
    return Row(number, "POST", "{B}/devices", ANDROID | CLIENT, body, 201, told)


def _tagged(number: int, *names: str) -> list[Row]:
    """Tags that are there before the story begins."""
    return [
        Row(number, "POST", "{B}/tags", NODE | BACKEND, {"name": name}, 201, tag(name))
        for name in names
    ]


ROWS: Final = [
    # the first anonymous registration of a browser
    Row(1, "GET", "{B}/devices/webdev1", WEB | CLIENT, status=404, reply=error("FPWSE0001E")),
    Row(1, "POST", "{B}/devices", WEB | CLIENT, _web(), 201, _is("anonymous")),
    # log-in on the same device
    Row(2, "POST", "{B}/devices", WEB | CLIENT, _web(), 201, _is("anonymous")),
    Row(2, "GET", "{B}/devices/webdev1", WEB | CLIENT, reply=_is("anonymous")),
    Row(2, "PUT", "{B}/devices/webdev1", WEB | CLIENT, _web("u1"), 200, _is("u1")),
    # back to anonymous, as each SDK says it
    Row(3, "POST", "{B}/devices", WEB | CLIENT, _web("u1"), 201, _is("u1")),
    Row(3, "PUT", "{B}/devices/webdev1", WEB | CLIENT, _web(""), 200, _is("anonymous")),
    _registered(3),
    Row(
        3,
        "PUT",
        "{B}/devices/D",
        SWIFT | CLIENT,
        {"deviceId": "D", "token": IPHONE},
        200,
        device("D", IPHONE, "A", "anonymous"),
    ),
    _registered(3, "E", "G"),
    Row(
        3,
        "PUT",
        "{B}/devices/E",
        ANDROID | CLIENT,
        {"deviceId": "E", "token": "T", "platform": "G"},
        200,
        device("E", "T", "G", "anonymous"),
    ),
    # iOS with a user and variables
    Row(
        4,
        "POST",
        "{B}/devices",
        SWIFT | CLIENT,
        {
            "deviceId": "D",
            "token": IPHONE,
            "platform": "A",
            "userId": "u1",
            "variables": {"username": "x"},
        },
        201,
        device("D", IPHONE, "A", "u1", variables={"username": "x"}),
    ),
    # Android
    Row(
        5,
        "PUT",
        "{B}/settings/gcmConf",
        NODE | BACKEND,
        {"apiKey": "K", "senderId": "123456789012"},
        200,
        {"apiKey": "K", "senderId": "123456789012"},
    ),
    Row(
        5, "GET", "{B}/settings/gcmConfPublic", ANDROID | CLIENT, reply={"senderId": "123456789012"}
    ),
    Row(5, "GET", "{B}/devices/D", ANDROID | CLIENT, status=404, reply=error("FPWSE0001E")),
    _registered(5, platform="G"),
    # a bad secret
    Row(
        6,
        "POST",
        "{B}/devices",
        ANDROID | {"clientsecret": "wrong"},
        {"deviceId": "D", "token": "T", "platform": "G", "userId": "u1"},
        401,
        {"message": "Unauthorized - clientSecret is missing or not valid", "code": TEXT},
    ),
    # unregistering, with the web's body
    Row(7, "POST", "{B}/devices", WEB | CLIENT, _web(), 201, _is("anonymous")),
    Row(7, "DELETE", "{B}/devices/webdev1", WEB | CLIENT, None, 204),
    # tags
    Row(
        8,
        "POST",
        "{B}/tags",
        NODE | BACKEND,
        {"name": "news", "description": "d"},
        201,
        tag("news", description="d"),
    ),
    Row(
        8,
        "GET",
        "{B}/tags",
        WEB | CLIENT,
        reply={"tags": [tag("news", description="d")], "pageInfo": page(1)},
    ),
    Row(8, "DELETE", "{B}/tags/news", BACKEND, status=204),
    # several subscriptions at once
    *_tagged(9, "t1", "t2"),
    Row(9, "POST", "{B}/devices", WEB | CLIENT, _web(), 201, _is("anonymous")),
    Row(
        9,
        "POST",
        "{B}/subscriptions",
        WEB | CLIENT,
        {"deviceId": "webdev1", "tagNames": ["t1", "t2"]},
        207,
        {
            "tagsNotFound": NOT_FOUND,
            "subscriptionExists": [],
            "subscribed": [subscription("t1", "webdev1"), subscription("t2", "webdev1")],
        },
    ),
    Row(
        9,
        "POST",
        "{B}/subscriptions?action=delete",
        WEB | CLIENT,
        {"deviceId": "webdev1", "tagNames": ["t1"]},
        207,
        {
            "tagsNotFound": NOT_FOUND,
            "subscriptionNotExists": [],
            "unsubscribed": [subscription("t1", "webdev1")],
            "subscriptionExists": [],
            "subscribed": [],
        },
    ),
    # Android subscribes and unsubscribes
    *_tagged(10, "t1"),
    _registered(10, platform="G"),
    Row(
        10,
        "POST",
        "{B}/subscriptions",
        ANDROID | CLIENT,
        {"deviceId": "D", "tagName": "t1"},
        201,
        subscription("t1", "D", userId="u1"),
    ),
    Row(10, "DELETE", "{B}/subscriptions?deviceId=D&tagName=t1", ANDROID | CLIENT, status=204),
    # the list of one device
    *_tagged(11, "t1"),
    Row(11, "POST", "{B}/devices", WEB | CLIENT, _web(), 201, _is("anonymous")),
    Row(
        11,
        "POST",
        "{B}/subscriptions",
        WEB | CLIENT,
        {"deviceId": "webdev1", "tagName": "t1"},
        201,
        subscription("t1", "webdev1"),
    ),
    Row(
        11,
        "GET",
        "{B}/subscriptions?deviceId=webdev1",
        WEB | CLIENT,
        reply={
            "subscriptions": [
                subscription("t1", "webdev1"),
                subscription("Push.ALL", "webdev1", userId=""),
            ],
            "pageInfo": page(2),
        },
    ),
    # sending to users, as Node's SDK does
    _registered(12),
    Row(
        12,
        "POST",
        "{B}/messages",
        NODE | BACKEND,
        SENT,
        202,
        {"message": SENT, "messageId": MESSAGE_ID},
    ),
    # several messages
    _registered(13),
    Row(
        13,
        "POST",
        "{B}/messages/bulk",
        NODE | BACKEND,
        [SENT, {"message": {"alert": "hi"}}],
        202,
        {"messages": [SUMMARY, SUMMARY]},
    ),
    # seen and opened
    Row(14, "POST", "{B}/devices", WEB | CLIENT, _web(), 201, _is("anonymous")),
    Row(
        14,
        "POST",
        "{B}/messages",
        NODE | BACKEND,
        {"message": {"alert": "hi"}},
        202,
        {"message": {"message": {"alert": "hi"}}, "messageId": MESSAGE_ID},
    ),
    Row(
        14,
        "PUT",
        "{B}/messages/{message}",
        WEB | CLIENT,
        {"deviceId": "webdev1", "status": "SEEN"},
        200,
        {},
    ),
    Row(
        14,
        "PUT",
        "{B}/messages/{message}",
        WEB | CLIENT,
        {"deviceId": "webdev1", "status": "OPEN"},
        200,
        {},
    ),
    # the list of devices, as IBM's migration tool asks for it
    _registered(15),
    Row(
        15,
        "GET",
        "{B}/devices?expand=true&offset=0&size=500",
        TOKEN,
        reply={"devices": [device("D", IPHONE, "A", "u1")], "pageInfo": page(1)},
    ),
    # settings
    Row(
        16,
        "PUT",
        "{B}/settings/gcmConf",
        NODE | BACKEND,
        {"apiKey": "K", "senderId": "1"},
        200,
        {"apiKey": "K", "senderId": "1"},
    ),
    Row(16, "GET", "{B}/settings/webpushServerKey", CLIENT, reply={"webpushServerKey": KEY}),
    Row(16, "DELETE", "{B}/settings/gcmConf", BACKEND, status=204),
    # webhooks
    Row(
        17,
        "POST",
        "{B}/webhooks",
        NODE | BACKEND,
        HOOK,
        201,
        HOOK | {"href": place("/webhooks/w1")},
    ),
    Row(17, "DELETE", "{B}/webhooks/w1", BACKEND, status=204),
]
