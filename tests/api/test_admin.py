"""Our own API, for the operator."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio
from httpx import Response

from api import credentials
from api.beams.words import ALERT, Beams, problem
from builders import MINUTE, NOW, SECOND
from heliograph.model import Environment, Gateway, Lane, PauseKind, PublishNumber
from heliograph.storage import devices, lanes, suspicions, watches
from heliograph.storage.database import Database
from heliograph.storage.suspicions import Suspicion
from heliograph.storage.watches import Watch
from support import ADMIN, in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_INSTANCE: Final = problem("Not found", "There is no such instance")
REFUSED: Final = problem("Unauthorized", "The admin token is missing or wrong")


class Operator:
    """Whoever has the admin token, with an instance in mind."""

    def __init__(self, beams: Beams) -> None:
        self.beams = beams

    async def ask(self, method: str, rest: str = "", body: object = None) -> Response:
        return await self.beams.http.request(
            method,
            f"/admin/v1/instances/{self.beams.instance.id}{rest}",
            headers=ADMIN,
            json=body,
        )

    async def create(self, body: object) -> Response:
        return await self.beams.http.post("/admin/v1/instances", headers=ADMIN, json=body)

    async def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = (await self.ask("GET")).json()
        return described


@pytest_asyncio.fixture(loop_scope="module")
async def operator(beams: Beams) -> AsyncIterator[Operator]:
    yield Operator(beams)


CALLS: Final = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/rotate-key"),
    ("POST", "/vapid/rotate"),
    ("PUT", "/credentials/apns"),
    ("DELETE", "/credentials/apns"),
    ("PUT", "/credentials/fcm"),
    ("DELETE", "/credentials/fcm"),
    ("GET", "/lanes"),
    ("GET", "/devices"),
    ("GET", "/devices/x"),
    ("POST", "/devices/x/restore"),
    ("POST", "/resume-pruning"),
    ("GET", "/publishes/x"),
    ("GET", "/publishes/x/trace"),
    ("POST", "/publishes/x/cancel"),
]
"""Every call on an instance."""


# --- who may -------------------------------------------------------------------------


@pytest.mark.parametrize("method,rest", CALLS)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic x"])
async def test_only_the_operator_may(
    beams: Beams, method: str, rest: str, authorization: str | None
) -> None:
    """Without the token every call is 401, whether what it is about exists or not."""
    headers = {} if authorization is None else {"authorization": authorization}
    before = beams.dump()

    replies = [
        await beams.http.request(method, f"/admin/v1/instances/{instance}{rest}", headers=headers)
        for instance in (beams.instance.id, "x")
    ]

    assert [(401, REFUSED, "Bearer")] * 2 == [
        (reply.status_code, reply.json(), reply.headers["www-authenticate"]) for reply in replies
    ]
    assert before == beams.dump()


async def test_without_a_token_in_the_settings_nobody_may(tmp_path: Path) -> None:
    """The API is closed, and says how to open it."""
    async with in_process(tmp_path, admin_token=None) as served:
        replies = [
            await served.http.get("/admin/v1/instances", headers=headers)
            for headers in ({}, ADMIN, {"authorization": "Bearer None"})
        ]

    closed = "The admin API is closed: set HELIOGRAPH_ADMIN_TOKEN to open it"
    assert [(403, problem("Forbidden", closed))] * 3 == [
        (reply.status_code, reply.json()) for reply in replies
    ]


async def test_a_secret_key_is_not_the_admin_token(beams: Beams) -> None:
    """A customer's key opens nothing here."""
    reply = await beams.http.get("/admin/v1/instances", headers=beams.secret)

    assert 401 == reply.status_code


# --- instances -----------------------------------------------------------------------


async def test_an_instance_is_made_with_its_secrets(operator: Operator) -> None:
    """They are told this once, and they work."""
    reply = await operator.create({"name": "Shop"})

    made = reply.json()
    assert (201, ["instance_id", "secret_key", "client_secret", "app_secret"]) == (
        reply.status_code,
        list(made),
    )
    assert made["instance_id"] == str(UUID(made["instance_id"]))
    assert (64, 64, 64) == tuple(
        len(made[name]) for name in ("secret_key", "client_secret", "app_secret")
    )
    published = await operator.beams.http.post(
        f"/publish_api/v1/instances/{made['instance_id']}/publishes",
        headers={"authorization": f"Bearer {made['secret_key']}"},
        json=ALERT | {"interests": ["a"]},
    )
    assert 200 == published.status_code


@pytest.mark.parametrize(
    "body,description",
    [
        ({}, "Object missing required field `name`"),
        ({"name": 1}, "Expected `str`, got `int` - at `$.name`"),
        ({"name": ""}, "name: must be 1 to 200 printable characters"),
        ({"name": " "}, "name: must be 1 to 200 printable characters"),
        ({"name": "a\n"}, "name: must be 1 to 200 printable characters"),
        ({"name": "a" * 201}, "name: must be 1 to 200 printable characters"),
        ({"name": "a", "nmae": "b"}, "Object contains unknown field `nmae`"),
    ],
)
async def test_an_instance_needs_a_name(
    operator: Operator, body: dict[str, Any], description: str
) -> None:
    """What is missing, wrong or unknown is told by its name, and nothing is made."""
    before = operator.beams.dump()

    reply = await operator.create(body)

    assert (422, problem("Unprocessable Entity", description), before) == (
        reply.status_code,
        reply.json(),
        operator.beams.dump(),
    )


async def test_an_instance_is_shown_without_its_secrets(operator: Operator) -> None:
    """Nothing that opens a door is ever told again."""
    instance = operator.beams.instance
    await operator.ask("PUT", "/credentials/apns", credentials.apns())
    await operator.ask("PUT", "/credentials/fcm", credentials.fcm())

    reply = await operator.ask("GET")

    assert {
        "instance_id": instance.id,
        "name": "test",
        "created_at": instance.created_at.isoformat().replace("+00:00", "Z"),
        "verify_client_secret": True,
        "vapid_public_key": reply.json()["vapid_public_key"],
        "live_secret_keys": 1,
        "apns": {
            "kind": "key",
            "key_id": "ABC123DEFG",
            "team_id": "DEF123GHIJ",
            "topic": "com.example.app",
            "endpoint": None,
            "sandbox_endpoint": None,
        },
        "fcm": {
            "project_id": "project",
            "client_email": "push@project.iam.gserviceaccount.com",
            "endpoint": "https://fcm.example",
        },
        "vapid_keys": [
            {
                "public_key": reply.json()["vapid_public_key"],
                "created_at": instance.created_at.isoformat().replace("+00:00", "Z"),
                "devices": 0,
                "current": True,
            }
        ],
        "pruning_stopped": [],
    } == reply.json()
    for secret in (*instance.secret_keys, instance.client_secret, instance.app_secret):
        assert secret not in reply.text
    assert "PRIVATE KEY" not in reply.text


async def test_instances_are_listed_oldest_first(operator: Operator) -> None:
    """Each as it is shown alone."""
    newer = (await operator.create({"name": "newer"})).json()["instance_id"]

    listed = (await operator.beams.http.get("/admin/v1/instances", headers=ADMIN)).json()

    assert [await operator.describe()] == [
        each for each in listed["instances"] if each["instance_id"] == operator.beams.instance.id
    ]
    assert newer == listed["instances"][-1]["instance_id"]


@pytest.mark.parametrize(
    "body,name,verify",
    [
        ({"name": "Renamed"}, "Renamed", True),
        ({"verify_client_secret": False}, "test", False),
        ({"name": "Both", "verify_client_secret": False}, "Both", False),
        ({}, "test", True),
        ({"name": None}, "test", True),
    ],
)
async def test_settings_are_changed_one_by_one(
    operator: Operator, body: dict[str, Any], name: str, verify: bool
) -> None:
    """What is not named stays, and the answer is the instance as it is now."""
    reply = await operator.ask("PATCH", body=body)

    assert (200, name, verify) == (
        reply.status_code,
        reply.json()["name"],
        reply.json()["verify_client_secret"],
    )
    assert reply.json() == await operator.describe()


@pytest.mark.parametrize(
    "body", [{"name": ""}, {"verify_client_secret": "no"}, {"unknown": 1}, {"name": ["a"]}]
)
async def test_a_setting_that_cannot_be_is_refused(
    operator: Operator, body: dict[str, Any]
) -> None:
    """Nothing changes."""
    before = operator.beams.dump()

    reply = await operator.ask("PATCH", body=body)

    assert (422, before) == (reply.status_code, operator.beams.dump())


async def test_a_key_is_rotated(operator: Operator) -> None:
    """The new key is told once; two are live until the next rotation."""
    reply = await operator.ask("POST", "/rotate-key")

    assert (200, operator.beams.instance.id) == (reply.status_code, reply.json()["instance_id"])
    assert reply.json()["secret_key"] not in operator.beams.instance.secret_keys
    assert 2 == (await operator.describe())["live_secret_keys"]
    published = await operator.beams.publish(
        ALERT | {"interests": ["a"]}, authorization=f"Bearer {reply.json()['secret_key']}"
    )
    assert 200 == published.status_code


async def test_a_vapid_key_is_rotated(operator: Operator) -> None:
    """Browsers subscribe with the new key; how many the old one still reaches is shown."""
    served = operator.beams.path("/web-vapid-public-key")
    before = (await operator.beams.http.get(served)).json()["vapidPublicKey"]
    await operator.beams.new_device("web")

    reply = await operator.ask("POST", "/vapid/rotate")

    now = (await operator.beams.http.get(served)).json()["vapidPublicKey"]
    await operator.beams.new_device("web")
    shown = await operator.describe()
    assert (200, now, [(now, 0, True), (before, 1, False)]) == (
        reply.status_code,
        reply.json()["vapid_public_key"],
        uses(reply.json()),
    )
    assert [(now, 1, True), (before, 1, False)] == uses(shown)
    assert before != now


def uses(described: dict[str, Any]) -> list[tuple[str, int, bool]]:
    """Each VAPID key of an instance, how many devices it reaches, and whether it is current."""
    keys = described["vapid_keys"]
    return [(each["public_key"], each["devices"], each["current"]) for each in keys]


async def test_an_instance_is_deleted_with_all_it_owns(operator: Operator) -> None:
    """Its devices, users, interests and publishes go with it, and other instances stay."""
    before = operator.beams.dump()
    made = (await operator.create({"name": "short-lived"})).json()
    instance = await operator.beams.product.instances.find(made["instance_id"])
    assert instance is not None
    doomed = Beams(operator.beams.product, instance, operator.beams.http, operator.beams.folder)
    device = await doomed.new_device()
    await doomed.http.post(f"{device}/interests/a")
    await doomed.log_in(device, "u")
    await doomed.publish(ALERT | {"interests": ["a"]})

    reply = await Operator(doomed).ask("DELETE")

    assert (204, b"", before) == (reply.status_code, reply.content, operator.beams.dump())
    assert (404, NO_INSTANCE) == (
        (again := await Operator(doomed).ask("DELETE")).status_code,
        again.json(),
    )


@pytest.mark.parametrize("method,rest", CALLS)
@pytest.mark.parametrize("instance", ["x", "00000000-0000-0000-0000-000000000000", "%00"])
async def test_an_instance_that_is_not_there(
    beams: Beams, method: str, rest: str, instance: str
) -> None:
    """Every call on it is 404, whatever it asks."""
    reply = await beams.http.request(
        method, f"/admin/v1/instances/{instance}{rest}", headers=ADMIN, json={}
    )

    assert (404, NO_INSTANCE) == (reply.status_code, reply.json())


# --- credentials ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "gateway,body",
    [
        ("apns", credentials.apns()),
        ("apns", credentials.apns_certificate()),
        ("apns", credentials.apns_p12()),
        ("fcm", credentials.fcm()),
    ],
    ids=["key", "certificate", "p12", "fcm"],
)
async def test_credentials_are_kept_replaced_and_removed(
    operator: Operator, gateway: str, body: dict[str, Any]
) -> None:
    """The answer is always the instance as it is now."""
    path = f"/credentials/{gateway}"

    replies = [
        await operator.ask("PUT", path, body),
        await operator.ask("PUT", path, body | {"endpoint": "https://new.example"}),
        await operator.ask("DELETE", path),
        await operator.ask("DELETE", path),
    ]

    assert [200] * 4 == [reply.status_code for reply in replies]
    assert [body.get("endpoint"), "https://new.example"] == [
        reply.json()[gateway]["endpoint"] for reply in replies[:2]
    ]
    assert [None, None] == [reply.json()[gateway] for reply in replies[2:]]


@pytest.mark.parametrize(
    "body",
    [
        credentials.apns_certificate(),
        credentials.apns_certificate() | {"topic": "com.example.app"},
        credentials.apns_p12(),
        credentials.apns_p12(password="secret"),
    ],
    ids=["pem", "topic", "p12", "locked"],
)
async def test_a_certificate_is_shown_without_its_key(
    operator: Operator, body: dict[str, Any]
) -> None:
    """In whatever form it came: what it is for and until when, which it says itself."""
    ends = {"endpoint": "https://a.example", "sandbox_endpoint": "https://b.example"}

    reply = await operator.ask("PUT", "/credentials/apns", body | ends)

    assert {
        "kind": "certificate",
        "topic": "com.example.app",
        "topics": ["com.example.app"],
        "environments": ["production", "sandbox"],
        "expires_at": "3000-01-01T00:00:00Z",
        **ends,
    } == reply.json()["apns"]
    assert "BEGIN" not in reply.text


async def test_credentials_are_not_readable_at_rest(operator: Operator) -> None:
    """What is kept is sealed."""
    await operator.ask("PUT", "/credentials/apns", credentials.apns())

    assert "PRIVATE KEY" not in repr(operator.beams.dump())


@pytest.mark.parametrize(
    "gateway,body,description",
    [
        ("apns", {}, "Object missing required field `key`"),
        ("apns", credentials.apns(key=7), "Expected `str`, got `int` - at `$.key`"),
        ("apns", credentials.apns(key="x"), "key: this is not a private key in PEM form"),
        ("apns", credentials.apns(key="\x00é"), "key: this is not a private key in PEM form"),
        (
            "apns",
            credentials.apns(key=credentials.rsa_key()),
            "key: the key is not an elliptic curve key; ES256 needs one on P-256",
        ),
        ("apns", credentials.apns(key_id=""), "key_id: must be a non-empty ASCII word"),
        ("apns", credentials.apns(team_id="a b"), "team_id: must be a non-empty ASCII word"),
        ("apns", credentials.apns(topic="é"), "topic: must be a non-empty ASCII word"),
        ("apns", credentials.apns(endpoint="ftp://x"), "endpoint: must be an http(s) address"),
        ("apns", credentials.apns(endpoint=""), "endpoint: must be an http(s) address"),
        ("apns", credentials.apns(ca="x"), "ca: must be certificates in PEM"),
        (
            "apns",
            credentials.apns(sandbox_endpoint="x"),
            "sandbox_endpoint: must be an http(s) address",
        ),
        ("apns", {"certificate": "x"}, "Object missing required field `key`"),
        ("apns", {"certificate": 7, "key": ""}, "Expected `str`, got `int` - at `$.certificate`"),
        (
            "apns",
            {"certificate": "x", "key": "x"},
            "certificate: this is not a certificate in PEM form",
        ),
        (
            "apns",
            credentials.apns_certificate() | {"key": credentials.rsa_key()},
            "key: the key does not belong to the certificate",
        ),
        (
            "apns",
            credentials.apns_certificate() | {"topic": "com.example.other"},
            "topic: the certificate is for com.example.app",
        ),
        (
            "apns",
            credentials.apns_certificate(topic=None),
            "topic: the certificate does not name one; say which it is for",
        ),
        (
            "apns",
            credentials.apns_certificate(
                valid=(datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 2, 3, tzinfo=UTC))
            ),
            "certificate: expired on 2021-02-03",
        ),
        ("apns", {"p12": "AAAA"}, "p12: this is not PKCS #12, or the password is wrong"),
        ("apns", {"p12": "?"}, "Invalid base64 encoded string - at `$.p12`"),
        (
            "apns",
            credentials.apns_p12(password="right") | {"password": "wrong"},
            "p12: this is not PKCS #12, or the password is wrong",
        ),
        ("fcm", {}, "Object missing required field `service_account`"),
        (
            "fcm",
            {"service_account": {}},
            "Object missing required field `project_id` - at `$.service_account`",
        ),
        (
            "fcm",
            credentials.fcm(project_id=""),
            "service_account.project_id: must be a non-empty ASCII word",
        ),
        (
            "fcm",
            credentials.fcm(private_key=credentials.p256_key()),
            "service_account.private_key: the key is not an RSA key; RS256 needs one",
        ),
        (
            "fcm",
            credentials.fcm(token_uri="x"),
            "service_account.token_uri: must be an http(s) address",
        ),
        ("fcm", credentials.fcm(endpoint="x"), "endpoint: must be an http(s) address"),
    ],
)
async def test_credentials_that_cannot_work_are_refused(
    operator: Operator, gateway: str, body: dict[str, Any], description: str
) -> None:
    """The field is named, nothing of a key is repeated, and nothing changes."""
    before = operator.beams.dump()

    reply = await operator.ask("PUT", f"/credentials/{gateway}", body)

    assert (422, problem("Unprocessable Entity", description), before) == (
        reply.status_code,
        reply.json(),
        operator.beams.dump(),
    )


async def test_a_body_says_that_it_is_json(operator: Operator) -> None:
    """As everywhere else, and it has at most 64 KiB."""
    path = f"/admin/v1/instances/{operator.beams.instance.id}"
    http = operator.beams.http

    plain = await http.patch(path, headers=ADMIN, content="{}")
    large = await operator.ask("PATCH", body={"name": "x" * 65_536})

    assert (400, problem("Invalid content type", "Only application/json is supported")) == (
        plain.status_code,
        plain.json(),
    )
    assert (400, problem("Bad request", "The body is too large: at most 65536 bytes")) == (
        large.status_code,
        large.json(),
    )


# --- devices -------------------------------------------------------------------------


async def test_paused_lanes_are_listed(operator: Operator) -> None:
    """Those of the instance, with the gateway's word for why, and when each is tried again."""
    before = (await operator.ask("GET", "/lanes")).json()
    lane = Lane(operator.beams.instance.number, Gateway.APNS, Environment.SANDBOX)
    async with (
        Database.opened(f"sqlite:///{operator.beams.folder}/heliograph.db") as database,
        database.write() as connection,
    ):
        await lanes.pause(
            connection, lane, PauseKind.REFUSED, "BadTopic", now=NOW, probe_at=NOW + MINUTE
        )

    after = (await operator.ask("GET", "/lanes")).json()

    assert {"lanes": []} == before
    assert {
        "lanes": [
            {
                "gateway": "apns",
                "environment": "sandbox",
                "kind": "refused",
                "reason": "BadTopic",
                "paused_at": "2026-01-02T03:04:05Z",
                "probe_at": "2026-01-02T03:05:05Z",
                "probes": 0,
            }
        ]
    } == after


async def test_devices_are_listed_without_their_tokens(operator: Operator) -> None:
    """A token is as good as a key to a screen; everything else is told."""
    registered = await operator.beams.register("apns", "00ff", metadata={"sdkVersion": "4"})

    reply = await operator.ask("GET", "/devices")

    (device,) = reply.json()["devices"]
    assert [
        "id",
        "name",
        "gateway",
        "platform",
        "user_id",
        "metadata",
        "created_at",
        "registered_at",
    ] == list(device)
    assert (registered.json()["id"], "apns", None, {"sdkVersion": "4"}) == (
        device["id"],
        device["gateway"],
        device["user_id"],
        device["metadata"],
    )
    assert "next_cursor" not in reply.json()


async def test_devices_are_walked_by_cursors(operator: Operator) -> None:
    """Each is met once, in the order in which they were made."""
    made = [(await operator.beams.register()).json()["id"] for _ in range(7)]

    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await operator.ask("GET", f"/devices?limit=3{cursor}")).json()
        pages.append([device["id"] for device in page["devices"]])
        cursor = f"&cursor={page['next_cursor']}" if "next_cursor" in page else None

    assert [made[:3], made[3:6], made[6:]] == pages


async def test_the_devices_of_a_user(operator: Operator) -> None:
    """Only those on which that person is logged in; somebody unknown has none."""
    theirs, others = await operator.beams.new_device(), await operator.beams.new_device("web")
    await operator.beams.log_in(theirs, "a b")
    await operator.beams.log_in(others, "c")

    found = (await operator.ask("GET", "/devices?user=a%20b")).json()["devices"]
    none = (await operator.ask("GET", "/devices?user=nobody")).json()["devices"]

    assert [("a b", theirs.rpartition("/")[2])] == [(each["user_id"], each["id"]) for each in found]
    assert [] == none


@pytest.mark.parametrize(
    "query,description",
    [
        ("limit=0", "limit: must be a whole number from 1 to 100"),
        ("limit=101", "limit: must be a whole number from 1 to 100"),
        ("limit=x", "limit: must be a whole number from 1 to 100"),
        ("limit=00000000000000000001999999999", "limit: must be a whole number from 1 to 100"),
        ("cursor=-1", "cursor: must be a whole number from 1 to 9223372036854775807"),
        (
            "cursor=9223372036854775808",
            "cursor: must be a whole number from 1 to 9223372036854775807",
        ),
        (
            "cursor=00000000000000000001" + "9" * 40,
            "cursor: must be a whole number from 1 to 9223372036854775807",
        ),
        ("pruned=yes", "pruned: must be true or false"),
        ("user=", "user: must not be empty"),
        ("user=" + "a" * 255, "user: is too long, max length is 254"),
        ("user=%00", "user: must be Unicode text without control characters"),
    ],
)
async def test_a_page_that_cannot_be(operator: Operator, query: str, description: str) -> None:
    """The parameter is named."""
    reply = await operator.ask("GET", f"/devices?{query}")

    assert (422, problem("Unprocessable Entity", description)) == (
        reply.status_code,
        reply.json(),
    )


async def test_a_pruned_device_is_listed_and_shown_with_the_reason(operator: Operator) -> None:
    """Among the pruned, and by its id, with its gateway's word and time; not among the living."""
    registered = (await operator.beams.register()).json()["id"]
    number = operator.beams.instance.number
    url = f"sqlite:///{operator.beams.folder}/heliograph.db"
    async with Database.opened(url) as database, database.write() as connection:
        device = await devices.find(connection, number, registered)
        assert device is not None
        await devices.prune(
            connection,
            device.number,
            reason="Unregistered",
            unless_registered_after=None,
            gone_since=NOW,
            now=NOW + SECOND,
        )
    living = (await operator.ask("GET", "/devices?pruned=false")).json()["devices"]

    (listed,) = (await operator.ask("GET", "/devices?pruned=true")).json()["devices"]
    shown = (await operator.ask("GET", f"/devices/{registered}")).json()

    assert ([], listed | {"suspicion": None}) == (living, shown)
    assert {
        "id": registered,
        "pruned_at": "2026-01-02T03:04:06Z",
        "prune_reason": "Unregistered",
        "quarantined": False,
        "gone_since": "2026-01-02T03:04:05Z",
    }.items() <= listed.items()


async def test_a_living_device_is_shown_with_what_it_is_suspected_of(operator: Operator) -> None:
    """How often it was refused, since when, and the gateway's last word."""
    registered = (await operator.beams.register()).json()["id"]
    number = operator.beams.instance.number
    url = f"sqlite:///{operator.beams.folder}/heliograph.db"
    async with Database.opened(url) as database, database.write() as connection:
        device = await devices.find(connection, number, registered)
        assert device is not None
        held = Suspicion(2, NOW, PublishNumber(1), "BadTopic")
        await suspicions.keep(connection, {device.number: held})

    shown = (await operator.ask("GET", f"/devices/{registered}")).json()

    assert {"refusals": 2, "since": "2026-01-02T03:04:05Z", "reason": "BadTopic"} == shown[
        "suspicion"
    ]
    assert "prune_reason" not in shown


async def test_a_device_that_is_not_there_is_not_shown(operator: Operator) -> None:
    """An unknown id is 404."""
    reply = await operator.ask("GET", "/devices/x")

    assert (404, problem("Not found", "There is no such device")) == (
        reply.status_code,
        reply.json(),
    )


async def test_pruning_that_was_stopped_is_shown_and_resumed(operator: Operator) -> None:
    """The instance tells which lanes are stopped, until the operator lets them go on."""
    lane = Lane(operator.beams.instance.number, Gateway.APNS, Environment.SANDBOX)
    url = f"sqlite:///{operator.beams.folder}/heliograph.db"
    async with Database.opened(url) as database, database.write() as connection:
        await watches.keep(connection, lane, Watch(NOW, 500, 499, stopped_at=NOW))
    before = (await operator.describe())["pruning_stopped"]

    after = await operator.ask("POST", "/resume-pruning")

    assert [
        {
            "gateway": "apns",
            "environment": "sandbox",
            "stopped_at": "2026-01-02T03:04:05Z",
            "attempted": 500,
            "doomed": 499,
        }
    ] == before
    assert (200, []) == (after.status_code, after.json()["pruning_stopped"])


async def test_a_pruned_device_is_restored(operator: Operator) -> None:
    """It is answered as it is listed, and is in the list again."""
    registered = (await operator.beams.register()).json()["id"]
    number = operator.beams.instance.number
    url = f"sqlite:///{operator.beams.folder}/heliograph.db"
    async with Database.opened(url) as database, database.write() as connection:
        device = await devices.find(connection, number, registered)
        assert device is not None
        await devices.prune(
            connection, device.number, reason="x", unless_registered_after=None, now=NOW
        )
    pruned = (await operator.ask("GET", "/devices")).json()["devices"]

    restored = await operator.ask("POST", f"/devices/{registered}/restore")

    assert ([], 200) == (pruned, restored.status_code)
    assert [restored.json()] == (await operator.ask("GET", "/devices")).json()["devices"]


@pytest.mark.parametrize("device", ["x", "%00"])
async def test_a_device_that_is_not_there_is_not_restored(operator: Operator, device: str) -> None:
    """An unknown id is 404."""
    reply = await operator.ask("POST", f"/devices/{device}/restore")

    assert (404, problem("Not found", "There is no such device")) == (
        reply.status_code,
        reply.json(),
    )


# --- publishes -----------------------------------------------------------------------


async def test_a_publish_is_shown_with_its_counters(operator: Operator) -> None:
    """Before any work is done nothing is targeted, and it is under way."""
    published = (await operator.beams.publish(ALERT | {"interests": ["b", "a"]})).json()

    shown = (await operator.ask("GET", f"/publishes/{published['publishId']}")).json()

    assert {
        "publish_id": published["publishId"],
        "state": "under way",
        "target": {"interests": ["b", "a"]},
        "accepted_at": shown["accepted_at"],
        "expanded_at": None,
        "cancelled_at": None,
        "targeted": 0,
        "sent": 0,
        "failed": 0,
        "expired": 0,
        "cancelled": 0,
        "pending": 0,
        "delivered": 0,
        "opened": 0,
        "gateways": {},
    } == shown


async def test_a_publish_to_users_says_to_whom(operator: Operator) -> None:
    """The target is shown as it was asked for."""
    published = (await operator.beams.publish(ALERT | {"users": ["u"]}, to="/users")).json()

    shown = (await operator.ask("GET", f"/publishes/{published['publishId']}")).json()

    assert {"users": ["u"]} == shown["target"]


async def test_a_publish_is_cancelled(operator: Operator) -> None:
    """It is answered with its progress, and is over when nothing of it is in hand."""
    published = (await operator.beams.publish(ALERT | {"users": ["u"]}, to="/users")).json()
    path = f"/publishes/{published['publishId']}"

    cancelled = await operator.ask("POST", f"{path}/cancel")

    assert (200, "cancelled", True) == (
        cancelled.status_code,
        cancelled.json()["state"],
        cancelled.json()["cancelled_at"] is not None,
    )
    assert cancelled.json() == (await operator.ask("GET", path)).json()


async def test_a_publish_that_is_not_there_is_not_cancelled(operator: Operator) -> None:
    """404 for an unknown id, and for another instance's."""
    instance = await operator.beams.product.instances.create("other")
    other = Beams(operator.beams.product, instance, operator.beams.http, operator.beams.folder)
    theirs = (await other.publish(ALERT | {"interests": ["a"]})).json()["publishId"]

    replies = [
        await operator.ask("POST", f"/publishes/{each}/cancel") for each in (theirs, "x", "%00")
    ]

    assert [(404, problem("Not found", "There is no such publish"))] * 3 == [
        (reply.status_code, reply.json()) for reply in replies
    ]


async def test_a_publish_of_another_instance_is_not_there(operator: Operator) -> None:
    """An id opens nothing in an instance that it does not belong to."""
    instance = await operator.beams.product.instances.create("other")
    other = Beams(operator.beams.product, instance, operator.beams.http, operator.beams.folder)
    published = (await other.publish(ALERT | {"interests": ["a"]})).json()["publishId"]

    replies = [
        await operator.ask("GET", f"/publishes/{publish}{rest}")
        for publish in (published, "x", "%00")
        for rest in ("", "/trace")
    ]

    assert [(404, problem("Not found", "There is no such publish"))] * 6 == [
        (reply.status_code, reply.json()) for reply in replies
    ]


async def test_a_device_that_has_not_been_reached_has_no_attempts(operator: Operator) -> None:
    """The trace is empty until there is something to tell; an unknown device has none."""
    published = (await operator.beams.publish(ALERT | {"interests": ["a"]})).json()["publishId"]
    device = (await operator.beams.register()).json()["id"]

    reply = await operator.ask("GET", f"/publishes/{published}/trace?device={device}")
    unknown = [
        await operator.ask("GET", f"/publishes/{published}/trace{query}")
        for query in ("", "?device=x", "?device=%00")
    ]

    assert {
        "publish_id": published,
        "device_id": device,
        "gateway": "fcm",
        "pruned_at": None,
        "prune_reason": None,
        "decision": "not targeted",
        "why": "NoMessageForGateway",
        "next_attempt_at": None,
        "attempts": [],
    } == reply.json()
    assert [(404, problem("Not found", "There is no such device"))] * 3 == [
        (each.status_code, each.json()) for each in unknown
    ]


async def test_a_publish_is_traced_on_every_device_of_a_user(operator: Operator) -> None:
    """Each of the person's devices, oldest first, and nobody else's."""
    paths = [await operator.beams.new_device(gateway) for gateway in ("apns", "fcm", "apns")]
    for path, user in zip(paths, ("u", "u", "other"), strict=True):
        await operator.beams.log_in(path, user)
    body = ALERT | {"users": ["u"]}
    published = (await operator.beams.publish(body, to="/users")).json()["publishId"]

    reply = (await operator.ask("GET", f"/publishes/{published}/trace?user=u")).json()
    nobody = await operator.ask("GET", f"/publishes/{published}/trace?user=nobody")

    assert (published, "u") == (reply["publish_id"], reply["user_id"])
    assert [
        (paths[0], "not decided", "StillExpanding"),
        (paths[1], "not targeted", "NoMessageForGateway"),
    ] == [
        (
            operator.beams.path(f"/devices/{each['gateway']}/{each['device_id']}"),
            each["decision"],
            each["why"],
        )
        for each in reply["devices"]
    ]
    assert {"publish_id": published, "user_id": "nobody", "devices": []} == nobody.json()


@pytest.mark.parametrize(
    "query,description",
    [
        ("user=", "user: must not be empty"),
        ("user=%00", "user: must be Unicode text without control characters"),
        ("user=u&device=d", "user: a trace is of a device or of a user, not of both"),
    ],
)
async def test_a_trace_of_whom_is_not_clear(
    operator: Operator, query: str, description: str
) -> None:
    """A user that cannot be, or two answers to one question, are refused."""
    published = (await operator.beams.publish(ALERT | {"interests": ["a"]})).json()["publishId"]

    reply = await operator.ask("GET", f"/publishes/{published}/trace?{query}")

    assert (422, problem("Unprocessable Entity", description)) == (
        reply.status_code,
        reply.json(),
    )


@pytest.mark.parametrize("path", ["", "/", "/v1/", "/v1/instances/", "/v2/instances"])
async def test_there_is_nothing_beside_the_table(beams: Beams, path: str) -> None:
    """An unknown path is 404 in the shape of every other error, and is not redirected."""
    reply = await beams.http.get(f"/admin{path}", headers=ADMIN)

    assert (404, problem("Not found", "There is nothing at this path")) == (
        reply.status_code,
        reply.json(),
    )
