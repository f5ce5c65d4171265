"""The description of the dialect: it names what the router has, and the limits that are checked."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route

from api.beams.words import ALERT, Beams
from heliograph.api.beams.openapi import describe
from heliograph.api.beams.tokens import LONGEST_USER_ID
from heliograph.api.idempotency import read_key
from heliograph.api.problems import Problem
from heliograph.auth import user_problem
from heliograph.gateways.apns import MAX_PAYLOAD_BYTES

DESCRIPTION = describe("1.2.3")
OURS = ("/publish_api", "/customer_api", "/user_api", "/device_api", "/reporting_api", "/instances")


def spots(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every method and path of a router, as a description writes them."""
    for route in routes:
        if isinstance(route, Mount):
            yield from spots(list(route.routes), prefix + route.path)
        elif isinstance(route, Route):
            for method in (route.methods or set()) - {"HEAD"}:
                yield method, (prefix + route.path).replace(":path", "")


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_served_is_described_and_the_other_way_round(beams: Beams) -> None:
    """Neither can drift from the other."""
    app: Any = beams.product.app
    while not hasattr(app, "routes"):
        app = app.app
    served = {each for each in spots(app.routes) if each[1].startswith(OURS)}

    described = {
        (method.upper(), path)
        for path, methods in DESCRIPTION["paths"].items()
        for method in methods
    }
    assert served == described


def test_every_call_has_a_name_of_its_own() -> None:
    """Tools make functions of them."""
    names = [
        operation["operationId"]
        for methods in DESCRIPTION["paths"].values()
        for operation in methods.values()
    ]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", sorted(DESCRIPTION["components"]["schemas"]))
def test_every_schema_is_one_and_takes_its_example(name: str) -> None:
    """JSON Schema 2020-12, as OpenAPI 3.1 has it."""
    schema = DESCRIPTION["components"]["schemas"][name]
    jsonschema.Draft202012Validator.check_schema(schema)

    for example in schema.get("examples", []):
        jsonschema.validate(example, schema)


def allowed(name: str, body: object) -> bool:
    schema = DESCRIPTION["components"]["schemas"][name]
    return bool(jsonschema.Draft202012Validator(schema).is_valid(body))


INTERESTS = [f"interest-{number}" for number in range(101)]
LIMITS: list[tuple[dict[str, Any], int]] = [
    (ALERT | {"interests": INTERESTS[:100]}, 200),
    (ALERT | {"interests": INTERESTS}, 422),
    (ALERT | {"interests": []}, 422),
    (ALERT | {"interests": ["a", "a"]}, 422),
    (ALERT | {"interests": ["a" * 164]}, 200),
    (ALERT | {"interests": ["a" * 165]}, 422),
    (ALERT | {"interests": ["a b"]}, 422),
    ({"interests": ["a"]}, 422),
    ({"interests": ["a"], "web": {"time_to_live": 2_419_200}}, 200),
    ({"interests": ["a"], "web": {"time_to_live": 2_419_201}}, 422),
    ({"interests": ["a"], "web": {"data": {"pusher": 1}}}, 422),
    ({"interests": ["a"], "apns": {"aps": {}, "priority": 7}}, 422),
    ({"interests": ["a"], "fcm": {"priority": "low"}}, 422),
]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("body, status", LIMITS)
async def test_a_limit_that_is_described_is_the_one_that_is_checked(
    beams: Beams, body: dict[str, Any], status: int
) -> None:
    """On both sides of each edge."""
    answer = await beams.publish(body)

    assert status == answer.status_code, answer.text
    assert (status == 200) == allowed("PublishToInterests", body)


@pytest.mark.parametrize(
    "character", ["\u0000", "\u001f", " ", "\u007f", "\u009f", "\u2028", "ü", "🦉"]
)
def test_a_user_id_that_is_described_is_one_that_is_taken(character: str) -> None:
    """Characters on both sides of each edge."""
    user = f"a{character}b"

    assert (user_problem(user, longest=LONGEST_USER_ID) is None) == allowed(
        "PublishToUsers", ALERT | {"users": [user]}
    )


@pytest.mark.parametrize("key", ["", "k", "a key", " k", "k ", "k" * 255, "k" * 256, "ü", "\u007f"])
def test_a_key_that_is_described_is_one_that_is_taken(key: str) -> None:
    """As servers read it: without the spaces around it."""
    publish = DESCRIPTION["paths"]["/publish_api/v1/instances/{instance}/publishes/users"]["post"]
    described = next(each for each in publish["parameters"] if each["name"] == "Idempotency-Key")
    header = (b"idempotency-key", key.encode("latin-1"))
    request = Request({"type": "http", "headers": [header]})

    is_described = jsonschema.Draft202012Validator(described["schema"]).is_valid(key)

    if is_described:
        assert key == read_key(request)
    elif key == key.strip():
        with pytest.raises(Problem):
            read_key(request)


def test_nothing_is_described_of_reports_that_sdks_would_repeat_for_ever() -> None:
    """Or what would have them make their device anew: no 404, no 429, no 5xx."""
    for version in (1, 2):
        path = f"/reporting_api/v{version}/instances/{{instance}}/events"
        answers = DESCRIPTION["paths"][path]["post"]["responses"]
        assert {"200", "400", "408", "414", "431"} == set(answers)


def test_who_has_to_wait_is_told_how_long() -> None:
    """Whenever the same request may be served later."""
    answers = DESCRIPTION["components"]["responses"]
    waits = {status for status, answer in answers.items() if "headers" in answer}

    assert {"429", "503"} == waits


def test_what_is_too_large_for_apple_cannot_be_described() -> None:
    """JSON Schema has no word for it: the description allows what is then refused with a 422."""
    assert allowed(
        "PublishToUsers", {"users": ["u"], "apns": {"aps": {"alert": "x" * MAX_PAYLOAD_BYTES}}}
    )
