"""Every request of contract §13 that a device sends, byte for byte."""

import httpx
import pytest

from client.ibm.scripts import APP, BASE, HOST, SECRET, WEB_TOKEN
from heliograph.client.ibm.profiles import PROFILES
from heliograph.client.ibm.requests import Registration, Requests

SWIFT = {
    "Content-Type": "application/json; charset = UTF-8",
    "clientSecret": SECRET,
    "X-REWRITE-DOMAIN": HOST,
}
ANDROID = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "clientSecret": SECRET,
    "X-REWRITE-DOMAIN": HOST,
}
WEB = {"Content-Type": "application/json; charset = UTF-8", "clientSecret": SECRET}


def requests(profile: str, *, secret: str = SECRET) -> Requests:
    return Requests(HOST, APP, secret, PROFILES[profile])


def headers(request: httpx.Request) -> dict[str, str]:
    """The headers as they are spelled, but for those of HTTP itself."""
    raw = {name.decode(): value.decode() for name, value in request.headers.raw}
    return {key: raw[key] for key in raw if key not in {"Host", "Content-Length"}}


@pytest.mark.parametrize(
    "profile, expected", [("ios", SWIFT), ("android", ANDROID), ("firefox", WEB), ("safari", WEB)]
)
def test_headers(profile: str, expected: dict[str, str]) -> None:
    """Contract §13.1, §13.4, §13.5, §2.7: the headers of each SDK, and how they are spelled."""
    made = requests(profile).verify("D")

    assert f"{HOST}{BASE}/devices/D" == str(made.url)
    assert expected == headers(made)
    assert expected == headers(requests(profile).create(Registration("D", "T")))


def test_the_web_without_a_secret() -> None:
    """Contract §2.3: an app of 2016 has no secret, and the web SDK sends no header then."""
    assert "clientSecret" not in headers(requests("chrome", secret="").verify("D"))


@pytest.mark.parametrize(
    "profile, registration, body",
    [
        (
            "firefox",
            Registration("webdev1", WEB_TOKEN),
            (
                '{"deviceId":"webdev1","token":"{\\"endpoint\\":\\"https://push.example/x\\",'
                '\\"userPublicKey\\":\\"AQID\\",\\"userAuth\\":\\"+/8=\\"}","platform":"WEB_FIREFOX"}'
            ),
        ),
        (
            "chrome",
            Registration("D", "{}", "u1", {"name": "x"}, is_vapid=True),
            (
                '{"deviceId":"D","token":"{}","platform":"WEB_CHROME","userId":"u1",'
                '"vapidRegistration":true}'
            ),
        ),
        (
            "safari",
            Registration("D", "AB"),
            '{"deviceId":"D","token":"AB","platform":"WEB_SAFARI"}',
        ),
        ("ios", Registration("D", "aa"), '{"deviceId": "D", "token": "aa", "platform": "A"}'),
        (
            "ios",
            Registration("D", "46f5", "u1", {"username": "x"}),
            (
                '{"deviceId": "D", "token": "46f5", "platform": "A", "userId": "u1", '
                '"variables": {\n  "username" : "x"\n}}'
            ),
        ),
        ("android", Registration("D", "T"), '{"deviceId":"D","token":"T","platform":"G"}'),
        (
            "android",
            Registration("D", "T", "u1", {"username": "ü"}),
            '{"deviceId":"D","token":"T","platform":"G","userId":"u1","variables":{"username":"ü"}}',
        ),
    ],
)
def test_registering(profile: str, registration: Registration, body: str) -> None:
    """Contract §13.1, §13.4, §13.5, §3.1: what POST says; the web tells no variables."""
    made = requests(profile).create(registration)

    assert ("POST", f"{BASE}/devices") == (made.method, made.url.path)
    assert body == made.content.decode()


@pytest.mark.parametrize(
    "profile, user, body",
    [
        ("firefox", "u1", '{"deviceId":"D","token":"T","platform":"WEB_FIREFOX","userId":"u1"}'),
        ("firefox", "", '{"deviceId":"D","token":"T","platform":"WEB_FIREFOX","userId":""}'),
        ("ios", "u1", '{"deviceId": "D", "token": "T", "userId": "u1"}'),
        ("ios", None, '{"deviceId": "D", "token": "T"}'),
        ("android", "u1", '{"deviceId":"D","token":"T","platform":"G","userId":"u1"}'),
        ("android", None, '{"deviceId":"D","token":"T","platform":"G"}'),
    ],
)
def test_updating(profile: str, user: str | None, body: str) -> None:
    """Contract §13.2, §13.3, §3.2: what PUT says; iOS leaves its platform out."""
    made = requests(profile).update(Registration("D", "T", user))

    assert ("PUT", f"{BASE}/devices/D") == (made.method, made.url.path)
    assert body == made.content.decode()


def test_swift_escapes_nothing() -> None:
    """Contract §2.7: a quotation mark in a user id makes a body that is not JSON."""
    made = requests("ios").create(Registration("D", "T", 'a"b'))

    assert '{"deviceId": "D", "token": "T", "platform": "A", "userId": "a"b"}' == (
        made.content.decode()
    )


@pytest.mark.parametrize("profile, body", [("ios", b""), ("android", b""), ("firefox", b"null")])
def test_unregistering(profile: str, body: bytes) -> None:
    """Contract §13.7, §2.7: DELETE has no body, but on the web the JSON of nothing."""
    made = requests(profile).delete("webdev1")

    assert ("DELETE", f"{BASE}/devices/webdev1") == (made.method, made.url.path)
    assert body == made.content


def test_asking_for_the_sender() -> None:
    """Contract §13.5, §3.3: what Android asks first."""
    made = requests("android").sender()

    assert ("GET", f"{BASE}/settings/gcmConfPublic") == (made.method, made.url.path)
    assert ANDROID == headers(made)


@pytest.mark.parametrize("profile", PROFILES)
def test_asking_for_tags(profile: str) -> None:
    """Contract §13.8, §13.11: the tags that there are, and those that the device has."""
    lists = [requests(profile).tags(), requests(profile).subscriptions("webdev1")]

    assert [f"{BASE}/tags", f"{BASE}/subscriptions?deviceId=webdev1"] == [
        each.url.raw_path.decode() for each in lists
    ]
    assert [("GET", b"")] * 2 == [(each.method, each.content) for each in lists]


@pytest.mark.parametrize(
    "profile, body",
    [
        ("ios", '{"tagNames":["t1", "t2"], "deviceId":"D"}'),
        ("chrome", '{"deviceId":"D","tagNames":["t1","t2"]}'),
    ],
)
def test_subscribing_at_once(profile: str, body: str) -> None:
    """Contract §13.9, §4.4: one request for all, and the same body to unsubscribe."""
    [subscribing] = requests(profile).subscribe("D", ["t1", "t2"])
    [unsubscribing] = requests(profile).unsubscribe("D", ["t1", "t2"])

    assert ["POST", "POST"] == [subscribing.method, unsubscribing.method]
    assert f"{BASE}/subscriptions" == subscribing.url.raw_path.decode()
    assert f"{BASE}/subscriptions?action=delete" == unsubscribing.url.raw_path.decode()
    assert [body, body] == [subscribing.content.decode(), unsubscribing.content.decode()]


def test_subscribing_one_by_one() -> None:
    """Contract §13.10, §4.3: Android has a request for each tag."""
    subscribing = requests("android").subscribe("D", ["t1", "t2"])
    unsubscribing = requests("android").unsubscribe("D", ["t1"])

    assert ['{"deviceId":"D","tagName":"t1"}', '{"deviceId":"D","tagName":"t2"}'] == [
        each.content.decode() for each in subscribing
    ]
    assert [("POST", f"{BASE}/subscriptions")] * 2 == [
        (each.method, each.url.raw_path.decode()) for each in subscribing
    ]
    assert [("DELETE", f"{BASE}/subscriptions?deviceId=D&tagName=t1")] == [
        (each.method, each.url.raw_path.decode()) for each in unsubscribing
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_reporting(profile: str) -> None:
    """Contract §13.14, §5.8: what became of a message."""
    made = requests(profile).report("webdev1", "AbC12345", "SEEN")

    assert ("PUT", f"{BASE}/messages/AbC12345") == (made.method, made.url.path)
    assert '{"deviceId":"webdev1","status":"SEEN"}' == made.content.decode()
