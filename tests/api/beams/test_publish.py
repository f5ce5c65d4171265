"""Publishing: who may, what is checked in which order, and what is kept."""

import itertools
import json
import re
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from starlette.applications import Starlette

from api.beams.words import ALERT, Beams, problem
from builders import workshop_in
from heliograph.api.beams import routes as beams_routes
from heliograph.api.express import Express
from heliograph.errors import Overloaded
from heliograph.model import PublishId
from heliograph.pipeline.accept import Accept
from support import in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAULTS: Final = ("content type", "path", "header", "instance", "key", "body", "schema")
"""What can be wrong with a publish, in the order in which it is looked at (contract §2.7)."""

ANSWERS: Final = {
    "path": (404, "Not found", "There is nothing at this path"),
    "content type": (400, "Invalid content type", "Only application/json is supported"),
    "header": (400, "Incomplete Request", "The Authorization header is missing"),
    "instance": (404, "Instance not found", "Could not find the instance"),
    "key": (401, "Unauthorized", "Incorrect Secret Key"),
    "body": (400, "Bad request", "The body is not valid JSON"),
    "schema": (422, "Unprocessable Entity", "`interests`: interests is required"),
}


async def ask(beams: Beams, faults: tuple[str, ...]) -> tuple[int, str, str]:
    """The answer to a publish that is wrong in some ways and right in all others."""
    instance = "another" if "instance" in faults else beams.instance.id
    path = f"/publish_api/v1/instances/{instance}/" + (
        "publish" if "path" in faults else "publishes"
    )
    headers = {} if "header" in faults else dict(beams.secret)
    if "key" in faults and headers:
        headers["authorization"] = "Bearer wrong"
    headers["content-type"] = "text/plain" if "content type" in faults else "application/json"
    body = "{" if "body" in faults else json.dumps({} if "schema" in faults else {"apns": {}})
    reply = await beams.http.post(path, headers=headers, content=body)
    return reply.status_code, reply.json()["error"], reply.json()["description"]


@pytest.mark.parametrize(
    "faults",
    [
        pair
        for size in (1, 2, 7)
        for pair in itertools.combinations(FAULTS, size)
        if not {"header", "key"} <= set(pair) or size == len(FAULTS)
    ],
    ids=" and ".join,
)
async def test_the_first_fault_is_the_one_that_is_told(
    beams: Beams, faults: tuple[str, ...]
) -> None:
    """
    A request that is wrong in several ways is told the same fault as by Beams.

    Only a path that does not exist comes before the content type here: it has no content type.
    """
    first = "path" if "path" in faults else faults[0]

    assert ANSWERS[first] == await ask(beams, faults)


async def test_a_publish_is_kept_and_has_an_id(beams: Beams) -> None:
    """What was asked for is there after the answer, under the id that was answered."""
    reply = await beams.publish(ALERT | {"interests": ["b", "a"]})

    kept = [row for row in beams.dump()["publishes"] if reply.json()["publishId"] in row]
    assert (200, 1, {"interests": ["b", "a"]}) == (
        reply.status_code,
        len(kept),
        json.loads(str(kept[0][3])),
    )


async def test_two_publishes_have_two_ids(beams: Beams) -> None:
    """Even the same body twice is two publishes."""
    body = ALERT | {"users": ["u"]}

    replies = [(await beams.publish(body, to="/users")).json()["publishId"] for _ in range(2)]

    assert 2 == len(set(replies))


@pytest.mark.parametrize(
    "authorization,status",
    [
        ("Bearer {}", 200),
        ("bearer {}", 200),
        ("Bearer  {} ", 200),
        ("{}", 401),
        ("Basic {}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("", 401),
        ("Bearer x{}", 401),
        ("Bearer {}x", 401),
    ],
)
async def test_the_secret_key_is_a_bearer_credential(
    beams: Beams, authorization: str, status: int
) -> None:
    """Only the whole key after the word Bearer opens; an empty header is wrong, not missing."""
    key = beams.instance.secret_keys[0]

    reply = await beams.publish(
        ALERT | {"interests": ["a"]}, authorization=authorization.format(key)
    )

    assert status == reply.status_code


async def test_another_instances_key_is_wrong(beams: Beams) -> None:
    """A key opens one instance."""
    other = await beams.product.instances.create("other")

    reply = await beams.publish(
        ALERT | {"interests": ["a"]}, authorization=f"Bearer {other.secret_keys[0]}"
    )

    assert (401, problem("Unauthorized", "Incorrect Secret Key")) == (
        reply.status_code,
        reply.json(),
    )
    assert "Bearer" == reply.headers["www-authenticate"]


async def test_both_keys_are_good_while_one_is_being_replaced(beams: Beams) -> None:
    """After a rotation the key before it still works; after another it does not."""
    body = ALERT | {"interests": ["a"]}
    await beams.product.instances.rotate_key(beams.instance.id)

    once = await beams.publish(body)
    await beams.product.instances.rotate_key(beams.instance.id)
    twice = await beams.publish(body)

    assert (200, 401) == (once.status_code, twice.status_code)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=UTF-8", "APPLICATION/JSON"]
)
async def test_json_is_json_whatever_its_charset(beams: Beams, content_type: str) -> None:
    """Parameters and case of the content type do not matter."""
    reply = await beams.publish(ALERT | {"interests": ["a"]}, **{"content-type": content_type})

    assert 200 == reply.status_code


@pytest.mark.parametrize(
    "body,description",
    [
        (b"", "The body is not valid JSON"),
        (b"null", "The body is not a JSON object"),
        (b"[]", "The body is not a JSON object"),
        (b'"x"', "The body is not a JSON object"),
    ],
)
async def test_a_body_is_a_json_object(beams: Beams, body: bytes, description: str) -> None:
    """Anything else is 400, not 422."""
    reply = await beams.http.post(
        beams.path("/publishes", api="publish_api"),
        content=body,
        headers=beams.secret | {"content-type": "application/json"},
    )

    assert (400, problem("Bad request", description)) == (reply.status_code, reply.json())


@pytest.mark.parametrize(
    "to,names,most",
    [
        ("/interests", "interests", 10 * 1024),
        ("", "interests", 10 * 1024),
        ("/users", "users", 200 * 1024),
    ],
)
async def test_a_body_has_so_many_bytes_and_no_more(
    beams: Beams, to: str, names: str, most: int
) -> None:
    """10 KiB to interests or 200 KiB to users is the most; one byte more is refused."""
    empty = len(json.dumps(ALERT | {names: ["a"], "padding": ""}, separators=(",", ":")))

    async def publish(size: int) -> tuple[int, Any]:
        reply = await beams.publish(ALERT | {names: ["a"], "padding": "x" * (size - empty)}, to=to)
        return reply.status_code, reply.json().get("description")

    assert (200, None) == await publish(most)
    assert (400, f"The body is too large: at most {most} bytes") == await publish(most + 1)


@pytest.mark.parametrize(
    "to,names,most", [("/interests", "interests", 100), ("/users", "users", 1000)]
)
async def test_a_publish_addresses_so_many_and_no_more(
    beams: Beams, to: str, names: str, most: int
) -> None:
    """100 interests or 1,000 users of the longest name are taken; one more is refused."""
    listed = [f"{number:04}" + "n" * (160 if names == "users" else 80) for number in range(most)]

    taken = await beams.publish(ALERT | {names: listed}, to=to)
    refused = await beams.publish(ALERT | {names: [*listed, "one-more"]}, to=to)

    assert 200 == taken.status_code
    assert (
        422,
        problem("Unprocessable Entity", f"`{names}`: Array must have at most {most} items"),
    ) == (refused.status_code, refused.json())


@pytest.mark.parametrize(
    "body",
    [
        {"interests": ["a"]},
        {"interests": ["a"], "webhookUrl": "https://hook.example/"},
        {"interests": ["a"], "gcm": {}},
    ],
)
async def test_a_publish_must_say_something(beams: Beams, body: dict[str, Any]) -> None:
    """Without apns, fcm and web there is nothing to send."""
    before = beams.dump()

    reply = await beams.publish(body)

    assert (
        422,
        problem("Unprocessable Entity", "at least one of `apns`, `fcm` and `web` is required"),
        before,
    ) == (reply.status_code, reply.json(), beams.dump())


async def test_what_we_do_not_know_is_tolerated(beams: Beams) -> None:
    """A webhook address and unknown keys are no reason to refuse a publish."""
    reply = await beams.publish(
        ALERT | {"interests": ["a"], "webhookUrl": "https://hook.example/", "unknown": [1]}
    )

    assert 200 == reply.status_code


@pytest.mark.parametrize(
    "payload,description",
    [
        (
            {"apns": {"aps": {"alert": "x" * 5000}}},
            r"`apns`: payload: 5\d{3} bytes is more than the 4096 that APNs takes",
        ),
        (
            {"fcm": {"data": {"k": "x" * 5000}}},
            r"`fcm`: message: 5\d{3} bytes is more than the 4096 FCM takes",
        ),
        (
            {"web": {"data": {"k": "x" * 5000}}},
            r"`web`: payload: 5\d{3} bytes is more than the 3993 that fit one push",
        ),
    ],
    ids=["apns", "fcm", "web"],
)
async def test_what_a_gateway_cannot_take_is_refused_at_once(
    beams: Beams, payload: dict[str, Any], description: str
) -> None:
    """A payload that is too large for one gateway refuses the publish, and nothing is kept."""
    before = beams.dump()

    reply = await beams.publish(ALERT | payload | {"interests": ["a"]})

    assert (422, "Unprocessable Entity") == (reply.status_code, reply.json()["error"])
    assert re.fullmatch(description, reply.json()["description"])
    assert before == beams.dump()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_publish_is_posted(beams: Beams, method: str) -> None:
    """Other methods are refused, with the one that is right."""
    reply = await beams.http.request(
        method, beams.path("/publishes", api="publish_api"), headers=beams.secret
    )

    assert (405, "POST", problem("Method not allowed", "This path has no such method")) == (
        reply.status_code,
        reply.headers["allow"],
        reply.json(),
    )


async def test_a_slash_at_the_end_is_another_path(beams: Beams) -> None:
    """It is not found rather than redirected: SDKs take a redirection for success."""
    reply = await beams.publish(ALERT | {"interests": ["a"]}, to="/interests/")

    assert 404 == reply.status_code


# --- once -------------------------------------------------------------------------------

NAMED: Final = ALERT | {"interests": ["a"], "users": ["u"]}
KEY: Final = {"idempotency-key": "order 17"}


async def test_a_publish_with_a_key_is_answered_as_the_first(beams: Beams) -> None:
    """The same body under the same key is the same publish, whatever the order of its keys."""
    first = await beams.publish(NAMED, **KEY)

    again = await beams.publish(dict(reversed(NAMED.items())), **KEY)
    by_its_old_path = await beams.publish(NAMED, to="", **KEY)

    assert [(200, first.json())] * 2 == [
        (each.status_code, each.json()) for each in (again, by_its_old_path)
    ]
    assert 1 == len([row for row in beams.dump()["publishes"] if first.json()["publishId"] in row])


@pytest.mark.parametrize(
    "body,to",
    [(NAMED | {"apns": {"aps": {"alert": "Bye"}}}, "/interests"), (NAMED, "/users")],
    ids=["body", "endpoint"],
)
async def test_a_key_of_another_publish_is_refused(
    beams: Beams, body: dict[str, Any], to: str
) -> None:
    """Another body, or the other endpoint, is another publish: nothing is kept."""
    await beams.publish(NAMED, **KEY)
    before = beams.dump()

    reply = await beams.publish(body, to=to, **KEY)

    assert (
        422,
        problem(
            "Unprocessable Entity",
            "`Idempotency-Key`: was used in the last 24 hours for another publish",
        ),
        before,
    ) == (reply.status_code, reply.json(), beams.dump())


async def test_a_refused_publish_does_not_use_up_its_key(beams: Beams) -> None:
    """What was wrong can be mended and sent under the same key."""
    refused = await beams.publish({"interests": ["a"]}, **KEY)

    mended = await beams.publish(NAMED, **KEY)

    assert (422, 200) == (refused.status_code, mended.status_code)


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a\tb", b"a\x7f", "ä".encode()])
async def test_a_key_that_cannot_be_is_refused(beams: Beams, key: bytes) -> None:
    """Empty, too long, or with characters that do not print: nothing is kept."""
    before = beams.dump()

    reply = await beams.http.post(
        beams.path("/publishes", api="publish_api"),
        json=NAMED,
        headers=[
            (b"authorization", beams.secret["authorization"].encode()),
            (b"idempotency-key", key),
        ],
    )

    assert (
        400,
        problem("Bad request", "`Idempotency-Key`: one of 1 to 255 printable ASCII characters"),
        before,
    ) == (reply.status_code, reply.json(), beams.dump())


async def test_two_keys_are_none(beams: Beams) -> None:
    """Of two headers nobody can say which is meant."""
    reply = await beams.http.post(
        beams.path("/publishes", api="publish_api"),
        json=NAMED,
        headers=[*beams.secret.items(), ("idempotency-key", "a"), ("idempotency-key", "b")],
    )

    assert 400 == reply.status_code


# --- how often -----------------------------------------------------------------------


async def test_an_instance_may_publish_so_often(tmp_path: Path) -> None:
    """More than the rate is answered 429 with a time to wait; other instances are not affected."""
    async with in_process(tmp_path, publish_rate=1) as served:
        one = Beams(served.product, served.instance, served.http, tmp_path)
        other = Beams(
            served.product, await served.product.instances.create("o"), served.http, tmp_path
        )

        replies = [await one.publish(ALERT | {"interests": ["a"]}) for _ in range(10)]
        others = await other.publish(ALERT | {"interests": ["a"]})

    refused = [reply for reply in replies if reply.status_code != 200]
    assert 200 == replies[0].status_code
    assert (429, "1", problem("Rate Limited", "Too many requests for this instance")) == (
        refused[0].status_code,
        refused[0].headers["retry-after"],
        refused[0].json(),
    )
    assert 200 == others.status_code


async def test_a_stranger_cannot_use_up_an_instances_rate(tmp_path: Path) -> None:
    """Requests without the key are not counted."""
    async with in_process(tmp_path, publish_rate=1) as served:
        beams = Beams(served.product, served.instance, served.http, tmp_path)
        for _ in range(5):
            await beams.publish(ALERT | {"interests": ["a"]}, authorization="Bearer wrong")

        reply = await beams.publish(ALERT | {"interests": ["a"]})

    assert 200 == reply.status_code


async def test_publishing_and_deleting_users_have_rates_of_their_own(tmp_path: Path) -> None:
    """Who publishes as often as they may can still delete a user."""
    async with in_process(tmp_path, publish_rate=1) as served:
        beams = Beams(served.product, served.instance, served.http, tmp_path)
        await beams.publish(ALERT | {"interests": ["a"]})

        reply = await beams.http.delete(
            beams.path("/users/u", api="customer_api"), headers=beams.secret
        )

    assert 200 == reply.status_code


class Full(Accept):
    """Has as many waiting as it can."""

    async def accept(self, *_: object, **__: object) -> PublishId:
        raise Overloaded("full")


async def test_more_than_can_be_stored_is_to_come_again(tmp_path: Path) -> None:
    """503 with Retry-After, in the shape of every error: it was not accepted."""
    async with workshop_in(tmp_path) as shop:
        full = Full(
            shop.database, shop.queue, shop.metrics, clock=shop.clock, randomness=shop.random
        )
        routes = beams_routes.Beams(
            shop.instances,
            shop.registry,
            full,
            shop.webhooks,
            publish_rate=1,
            device_rate=1,
            clock=shop.clock,
        )
        instance = await shop.instance()
        app = Express(Starlette(), routes.publish_routes())
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://product") as http:
            reply = await http.post(
                f"/publish_api/v1/instances/{instance.id}/publishes/users",
                json={"users": ["alice"], **ALERT},
                headers={"authorization": f"Bearer {instance.secret_keys[0]}"},
            )

    sentence = "Too many publishes wait to be stored; this one was not accepted"
    assert (503, "1", problem("Service Unavailable", sentence)) == (
        reply.status_code,
        reply.headers["retry-after"],
        reply.json(),
    )
