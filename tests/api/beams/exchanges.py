"""
The exchanges of the contract's table (§14), row by row, as SDKs were recorded or read.

A row's number is that of the table; what follows a colon is another SDK's way of saying
the same, or another reply that the row names. SDKs that cannot be run here (Go, Ruby, PHP,
Java, Swift) are told apart by their headers, their paths and how they write ids (§2.2, §5).

Rows 36 and 37 are requests that we make, and not here but in the tests of webhooks.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

from api.beams.words import problem

NODE: Final = {"x-pusher-library": "pusher-push-notifications-node 1.2.7"}
RUBY: Final = {"x-pusher-library": "pusher-push-notifications-ruby 2.0.3"}
GO: Final = {"x-pusher-library": "pusher-push-notifications-go 1.1.1"}
PYTHON: Final = {"x-pusher-library": "pusher-push-notifications-python 2.0.2"}
PHP: Final = {"x-pusher-library": "pusher-push-notifications-php 2.0.0"}
JAVA: Final = {
    "x-pusher-library": "pusher-push-notifications-server-java 1.1.1",
    "accept": "application/json",
}
SWIFT: Final = {
    "x-pusher-library": "push-notifications-server-swift 1.0.3",
    "accept": "application/json",
}
IOS: Final = {"x-pusher-library": "push-notifications-swift 4.0.0"}
ANDROID: Final = {"x-pusher-library": "push-notifications-android 1.9.2"}
JSON: Final = {"content-type": "application/json"}
ANDROID_JSON: Final = ANDROID | {"content-type": "application/json; charset=UTF-8"}
SITE: Final = {"origin": "https://site.example"}
KEY: Final = {"authorization": "Bearer {key}"}
TOKEN: Final = {"authorization": "Bearer {token}"}

PUBLISHES: Final = "/publish_api/v1/instances/{instance}/publishes"
EVENTS: Final = "/reporting_api/v2/instances/{instance}/events"
PUBLISH: Final = "pubid-01890b5c-0000-7000-8000-000000000000"
DEVICES: Final = "/device_api/v1/instances/{instance}/devices"
CUSTOMERS: Final = "/customer_api/v1/instances/{instance}/users"

ALERT: Final = {"apns": {"aps": {"alert": {"title": "Hello", "body": "there"}}}}
FCM: Final = {"fcm": {"notification": {"title": "x"}}}
PUBLISH_ID: Final = {"publishId": re.compile(r"pubid-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")}
NOT_FOUND: Final = problem("Not found", "Device not found")


@dataclass(frozen=True)
class Row:
    """
    A request and its reply.

    In paths, headers and bodies ``{instance}``, ``{key}``, ``{token}`` (a Beams token)
    and ``{apns}``, ``{fcm}``, ``{web}`` (devices, with the interests a and b) are filled in.
    """

    number: str
    method: str
    path: str
    headers: dict[str, str]
    body: object = None
    status: int = 200
    reply: object = None
    """The whole JSON of the reply; a pattern matches text. None is an empty body."""
    reply_headers: dict[str, str] = field(default_factory=dict)


def registered(gateway: str) -> dict[str, Any]:
    return {
        "id": re.compile(gateway + r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        "initialInterestSet": [],
    }


ROWS: Final = [
    Row("1", "POST", PUBLISHES + "/interests", NODE | JSON | KEY, FCM | {"interests": ["a;b"]},
        reply=PUBLISH_ID),
    Row("2", "POST", PUBLISHES, RUBY | JSON | KEY, {"interests": ["hello"]} | ALERT,
        reply=PUBLISH_ID),
    Row("3", "POST", PUBLISHES, GO | JSON | KEY, FCM | {"interests": ["a;b"]}, reply=PUBLISH_ID),
    Row("4", "POST", PUBLISHES + "/users", PYTHON | JSON | KEY, {"web": {}, "users": ["u"]},
        reply=PUBLISH_ID),
    Row("5", "POST", PUBLISHES + "/users", GO | JSON | KEY,
        FCM | {"interests": ["a;b"], "users": ["u"]}, reply=PUBLISH_ID),
    Row("1: Java", "POST", PUBLISHES + "/interests", JAVA | JSON | KEY,
        ALERT | {"interests": ["a"]}, reply=PUBLISH_ID),
    Row("1: PHP", "POST", PUBLISHES + "/interests", PHP | JSON | KEY, ALERT | {"interests": ["a"]},
        reply=PUBLISH_ID),
    Row("2: Swift", "POST", PUBLISHES, SWIFT | JSON | KEY, ALERT | {"interests": ["a"]},
        reply=PUBLISH_ID),
    Row("4: Ruby", "POST", PUBLISHES + "/users", RUBY | JSON | KEY, ALERT | {"users": ["u"]},
        reply=PUBLISH_ID),
    Row("4: PHP", "POST", PUBLISHES + "/users", PHP | JSON | KEY, ALERT | {"users": ["u"]},
        reply=PUBLISH_ID),
    Row("4: Java", "POST", PUBLISHES + "/users", JAVA | JSON | KEY, ALERT | {"users": ["u"]},
        reply=PUBLISH_ID),
    Row("4: Swift", "POST", PUBLISHES + "/users", SWIFT | JSON | KEY, ALERT | {"users": ["u"]},
        reply=PUBLISH_ID),
    Row("6", "POST", PUBLISHES, JSON | {"authorization": "Bearer wrong-secret-key"},
        ALERT | {"interests": ["a"]},
        status=401, reply=problem("Unauthorized", "Incorrect Secret Key"),
        reply_headers={"www-authenticate": "Bearer"}),
    Row("7", "POST", "/publish_api/v1/instances/abe1212381f60/publishes", JSON | KEY,
        ALERT | {"interests": ["a"]},
        status=404, reply=problem("Instance not found", "Could not find the instance")),
    Row("8", "POST", PUBLISHES, JSON | KEY, {"invalid": "payload"},
        status=422, reply=problem("Unprocessable Entity", "`interests`: interests is required")),
    Row("9", "POST", PUBLISHES + "/users", JSON | KEY, {"invalid": "payload"},
        status=422, reply=problem("Unprocessable Entity", "`users`: users is required")),
    Row("10", "POST", PUBLISHES + "/users", JSON | KEY, ALERT | {"users": ["a", "a"]},
        status=422, reply=problem("Unprocessable Entity", "`users`: array items must be unique")),
    Row("11", "POST", PUBLISHES + "/interests", JSON | KEY, ALERT | {"interests": ["a b"]},
        status=422,
        reply=problem("Unprocessable Entity",
                      r"`interests.0`: Does not match pattern '^[a-zA-Z0-9_\\-=@,.;]+$'")),
    Row("11: Ruby lets a colon through", "POST", PUBLISHES, RUBY | JSON | KEY,
        ALERT | {"interests": ["a:b"]},
        status=422,
        reply=problem("Unprocessable Entity",
                      r"`interests.0`: Does not match pattern '^[a-zA-Z0-9_\\-=@,.;]+$'")),
    Row("11: Node lets nothing through", "POST", PUBLISHES + "/interests", NODE | JSON | KEY,
        ALERT | {"interests": [""]},
        status=422,
        reply=problem("Unprocessable Entity",
                      r"`interests.0`: Does not match pattern '^[a-zA-Z0-9_\\-=@,.;]+$'")),
    Row("10: Swift's own test", "POST", PUBLISHES + "/users", SWIFT | JSON | KEY,
        ALERT | {"users": ["a"] * 1000},
        status=422, reply=problem("Unprocessable Entity", "`users`: array items must be unique")),
    Row("12", "POST", PUBLISHES + "/interests", JSON, ALERT | {"interests": ["a"]},
        status=400, reply=problem("Incomplete Request", "The Authorization header is missing")),
    Row("13", "POST", PUBLISHES + "/interests", JSON | KEY,
        ALERT | {"interests": ["a"], "padding": "x" * 11 * 1024},
        status=400,
        reply=problem("Bad request", "The body is too large: at most 10240 bytes")),
    Row("14", "DELETE", CUSTOMERS + "/Stop%21%27+said%2FFred", RUBY | JSON | KEY),
    Row("15", "DELETE", "/user_api/v1/instances/{instance}/users/Stop!'%20said%2FFred",
        NODE | KEY | {"accept": "application/json"}),
    Row("16", "DELETE", CUSTOMERS + "/Stop%21%27%20said/Fred", PYTHON | KEY),
    Row("14: PHP", "DELETE", CUSTOMERS + "/Stop%21%27+said%2FFred", PHP | JSON | KEY),
    Row("14: Java", "DELETE", CUSTOMERS + "/Stop%21%27+said%2FFred", JAVA | JSON | KEY),
    Row("14: Go", "DELETE", CUSTOMERS + "/Stop%21%27%20said%2FFred", GO | JSON | KEY),
    Row("14: Swift", "DELETE", CUSTOMERS + "/Stop!'%20said/Fred", SWIFT | JSON | KEY),
    Row("15: Swift 1.0.0", "DELETE", "/user_api/v1/instances/{instance}/users/Stop!'%20said/Fred",
        SWIFT | JSON | KEY),
    Row("17", "DELETE", CUSTOMERS + "/" + "a" * 165, RUBY | KEY,
        status=400, reply=problem("Bad request", "'User id' is too long, max length is 164")),
    Row("18", "POST", DEVICES + "/apns", IOS | JSON,
        {"token": "{apple}", "bundleIdentifier": "com.example.app",
         "metadata": {"sdkVersion": "4.0.0", "iosVersion": "17.5.1"}},
        reply=registered("apns")),
    Row("19: what cannot be a token; one that can is not validated here", "POST", DEVICES + "/apns",
        IOS | JSON, {"token": "no token", "bundleIdentifier": "com.example.app", "metadata": {}},
        status=400, reply=problem("Bad request", "The device token must be hexadecimal")),
    Row("20", "POST", DEVICES + "/fcm", ANDROID_JSON,
        {"token": "{google}", "knownPreviousClientIds": [],
         "metadata": {"sdkVersion": "1.9.2", "androidVersion": "14"}},
        reply=registered("fcm")),
    Row("21", "GET", "/device_api/v1/instances/{instance}/web-vapid-public-key", SITE,
        reply={"vapidPublicKey": re.compile(r"B[A-Za-z0-9_-]{86}")},
        reply_headers={"access-control-allow-origin": "*"}),
    Row("22", "OPTIONS", DEVICES + "/web",
        SITE | {"access-control-request-method": "POST",
                "access-control-request-headers": "content-type"},
        reply=...,
        reply_headers={"access-control-allow-origin": "*",
                       "access-control-allow-headers": "content-type",
                       "access-control-allow-methods": "GET, POST, PUT, DELETE"}),
    Row("23", "POST", DEVICES + "/web", JSON | SITE,
        {"token": "{subscription}", "metadata": {"sdkVersion": "2.1.0"}},
        reply=registered("web"), reply_headers={"access-control-allow-origin": "*"}),
    Row("24", "PUT", DEVICES + "/apns/{apns}/user", IOS | JSON | TOKEN),
    Row("25", "PUT", DEVICES + "/web/{web}/user", TOKEN | SITE,
        reply_headers={"access-control-allow-origin": "*"}),
    Row("25: bad token", "PUT", DEVICES + "/web/{web}/user", {"authorization": "Bearer x"} | SITE,
        status=401,
        reply=problem("Unauthorized", "Invalid JWT: it is not signed by this instance"),
        reply_headers={"access-control-allow-origin": "*"}),
    Row("25: wrong issuer", "PUT", DEVICES + "/web/{web}/user",
        {"authorization": "Bearer {foreign}"} | SITE,
        status=403, reply=problem("Forbidden", "Invalid JWT claims: iss is not this instance"),
        reply_headers={"access-control-allow-origin": "*"}),
    Row("25: another user is bound", "PUT", DEVICES + "/web/{taken}/user", TOKEN | SITE,
        status=400,
        reply=problem("Bad request", "A User Id is already associated with this device"),
        reply_headers={"access-control-allow-origin": "*"}),
    Row("25: unknown device", "PUT", DEVICES + "/web/web-unknown/user", TOKEN | SITE,
        status=404, reply=NOT_FOUND, reply_headers={"access-control-allow-origin": "*"}),
    Row("26", "POST", DEVICES + "/fcm/{fcm}/interests/hello", ANDROID),
    Row("26: unknown device", "POST", DEVICES + "/fcm/fcm-unknown/interests/hello", ANDROID,
        status=404, reply=NOT_FOUND),
    Row("27", "DELETE", DEVICES + "/web/{web}/interests/hello", SITE,
        reply_headers={"access-control-allow-origin": "*"}),
    Row("28", "PUT", DEVICES + "/apns/{apns}/interests", IOS | JSON, {"interests": ["a", "b"]}),
    Row("28: too many", "PUT", DEVICES + "/apns/{apns}/interests", IOS | JSON,
        {"interests": [f"i{number}" for number in range(5001)]},
        status=400,
        reply=problem("Bad request", "Interest set too large: a device can have at most 5000")),
    Row("29", "GET", DEVICES + "/web/{web}/interests?limit=100", SITE,
        reply={"interests": ["a", "b"], "responseMetadata": {}},
        reply_headers={"access-control-allow-origin": "*"}),
    Row("30", "PUT", DEVICES + "/apns/{apns}/metadata", IOS | JSON,
        {"sdkVersion": "4.0.0", "iosVersion": "17.5.1"}),
    Row("31", "PUT", DEVICES + "/fcm/{fcm}/token", ANDROID_JSON, {"token": "new"}),
    Row("31: unknown device", "PUT", DEVICES + "/fcm/fcm-unknown/token", ANDROID_JSON,
        {"token": "new"}, status=404, reply=NOT_FOUND),
    Row("32", "GET", DEVICES + "/apns/{apns}", IOS | JSON,
        reply={"id": re.compile("apns-.*"), "userId": "",
               "metadata": {"sdkVersion": "4.0.0", "iosVersion": "17.5.1"}}),
    Row("32: bound", "GET", DEVICES + "/web/{taken}", IOS | JSON,
        reply={"id": re.compile("web-.*"), "userId": "somebody",
               "metadata": {"sdkVersion": "4.0.0", "iosVersion": "17.5.1"}}),
    Row("32: unknown device", "GET", DEVICES + "/apns/apns-unknown", IOS | JSON,
        status=404, reply=NOT_FOUND),
    Row("33", "DELETE", DEVICES + "/fcm/{fcm}", ANDROID),
    Row("33: unknown device", "DELETE", DEVICES + "/fcm/fcm-unknown", ANDROID),
    Row("34", "POST", EVENTS, IOS | JSON,
        {"event": "Delivery", "instanceId": "{instance}", "publishId": PUBLISH,
         "deviceId": "{apns}", "userId": "u", "timestampSecs": 1_700_000_000,
         "appInBackground": True, "hasDisplayableContent": True, "hasData": False}),
    Row("35", "POST", EVENTS, JSON | SITE,
        {"publishId": PUBLISH, "event": "open", "deviceId": "{web}", "userId": None,
         "timestampSecs": 1_700_000_000, "appInBackground": True, "hasDisplayableContent": True,
         "hasData": False},
        reply_headers={"access-control-allow-origin": "*"}),
    Row("34: an old iOS", "POST", EVENTS.replace("v2", "v1"), IOS | JSON,
        {"event": "Open", "publishId": PUBLISH, "deviceId": "{apns}", "timestampSecs": 1}),
    Row("34: of nobody that we know", "POST", EVENTS, ANDROID_JSON,
        {"event": "Delivery", "publishId": PUBLISH, "deviceId": "fcm-unknown", "timestampSecs": 1}),
    Row("34: of no instance", "POST", EVENTS.replace("{instance}", "another"), ANDROID_JSON,
        {"event": "Delivery", "publishId": PUBLISH, "deviceId": "{fcm}", "timestampSecs": 1}),
    Row("35: a worker without a state", "POST", EVENTS, JSON | SITE,
        {"publishId": PUBLISH, "event": "delivery", "deviceId": None, "userId": None,
         "timestampSecs": 1}, reply_headers={"access-control-allow-origin": "*"}),
    Row("35: nothing said", "POST", EVENTS, JSON | SITE, {},
        status=400, reply=problem("Bad request", "`event` and `publishId` are required"),
        reply_headers={"access-control-allow-origin": "*"}),
    Row("38", "GET", "/device_api/v1/instances/{instance}/safari-website-push-id", SITE,
        status=404, reply=problem("Not found", "There is nothing at this path"),
        reply_headers={"access-control-allow-origin": "*"}),
    Row("39", "POST", "/instances/{instance}/devices/fcm", ANDROID_JSON,
        {"token": "{google}", "knownPreviousClientIds": [],
         "metadata": {"sdkVersion": "1.9.2", "androidVersion": "14"}},
        reply=registered("fcm")),
]  # fmt: skip
