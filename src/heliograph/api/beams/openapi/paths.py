"""What can be asked, and what each call may be answered. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from heliograph.api.beams import schema
from heliograph.api.beams.openapi.schemas import INTEREST, TEXT, USER, Json
from heliograph.model import Gateway

_INSTANCE: Final = "1b880590-6301-4bb5-b34f-45db1c5f5644"
_AT_THE_DOOR: Final = ("400", "408", "414", "431")
"""What any request may be answered before it is anybody's: see the middleware."""

_NEVER_OF_REPORTS: Final = ("404", "429", "503")
"""To SDKs these mean that all is lost, or that they must ask for ever."""

_SENTENCES: Final = {
    "400": "The request cannot be read, or breaks a rule that no retry will mend.",
    "401": "The secret key, or the Beams token, is wrong or over.",
    "403": "The Beams token is another instance's.",
    "404": "There is no such instance, device or path.",
    "408": "The request did not arrive in time.",
    "414": "The path is too long.",
    "422": "The body is JSON, and not what was asked for.",
    "429": "Too many requests; `Retry-After` says when to come again.",
    "431": "The header fields are too large.",
    "503": "The database is away or has too much to do; nothing was kept.",
}

_BYTES: Final = {
    "PublishToInterests": schema.INTERESTS_BODY_BYTES,
    "PublishToUsers": schema.USERS_BODY_BYTES,
    "Registration": schema.DEVICE_BODY_BYTES,
    "Metadata": schema.DEVICE_BODY_BYTES,
    "Token": schema.DEVICE_BODY_BYTES,
    "Interests": schema.INTEREST_SET_BODY_BYTES,
    "Report": schema.REPORT_BODY_BYTES,
}


def paths() -> Json:
    """Every path, with its methods."""
    found: Json = {}
    publishes = "/publish_api/v1/instances/{instance}/publishes"
    users = _post("Publish to users", "PublishToUsers")
    interests = _post("Publish to interests", "PublishToInterests")
    found[f"{publishes}/users"] = {"post": users | {"operationId": "publishToUsers"}}
    found[f"{publishes}/interests"] = {"post": interests | {"operationId": "publishToInterests"}}
    older = {"summary": "Publish to interests, at its older path", "operationId": "publish"}
    found[publishes] = {"post": interests | older | {"deprecated": True}}
    for api, name, about in (
        ("customer_api", "deleteUser", "Forget a person with all of their devices"),
        ("user_api", "deleteUserAlias", "The same, where Node's SDK looks for it"),
    ):
        path = f"/{api}/v1/instances/{{instance}}/users/{{user}}"
        found[path] = {
            "delete": _operation("Users", about, key="secretKey") | {"operationId": name}
        }
        found[path]["delete"]["parameters"].append(_in_path("user", USER))
    for prefix, suffix in (("/device_api/v1", ""), ("", "ByOverride")):
        found |= _device_paths(f"{prefix}/instances/{{instance}}", suffix)
    for number, version in (("", 2), ("V1", 1)):
        path = f"/reporting_api/v{version}/instances/{{instance}}/events"
        operation = _operation(
            "Reports", "Say that a message arrived, or was opened", body="Report"
        )
        found[path] = {"post": operation | {"operationId": f"report{number}"}}
    return found


def _device_paths(instance: str, suffix: str) -> Json:
    """The device API below a prefix; Android's override may leave its name out."""
    paths: Json = {}
    for call in _DEVICE_CALLS:
        operation = call.operation() | {"operationId": call.name + suffix}
        operation["parameters"] += [
            _in_path(name, kind) for name, kind in _PLACES.items() if "{" + name + "}" in call.path
        ]
        if call.is_paged:
            operation["parameters"] += _PAGE
        paths.setdefault(instance + call.path, {})[call.method] = operation
    return paths


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of the device API."""

    name: str
    method: str
    path: str
    summary: str
    body: str | None = None
    answer: str | None = None
    key: str | None = None
    more: tuple[str, ...] = ()
    is_paged: bool = False

    def operation(self) -> Json:
        """What OpenAPI calls it."""
        return _operation(
            "Devices",
            self.summary,
            body=self.body,
            answer=self.answer,
            key=self.key,
            more=self.more,
        )


_DEVICE: Final = "/devices/{gateway}/{device}"
_INTERESTS: Final = _DEVICE + "/interests"
_ONE: Final = _INTERESTS + "/{interest}"

_DEVICE_CALLS: Final = (
    _Call(
        "vapidKey",
        "get",
        "/web-vapid-public-key",
        "The key that browsers subscribe with",
        answer="VapidKey",
    ),
    _Call(
        "register",
        "post",
        "/devices/{gateway}",
        "Register a device; a known token is a known device",
        body="Registration",
        answer="Registered",
    ),
    _Call("device", "get", _DEVICE, "What is known of a device", answer="Device"),
    _Call("unregister", "delete", _DEVICE, "Forget a device, known or not"),
    _Call(
        "setMetadata",
        "put",
        _DEVICE + "/metadata",
        "Keep what a device says about itself",
        body="Metadata",
    ),
    _Call(
        "setToken",
        "put",
        _DEVICE + "/token",
        "Move an Android device to its new token",
        body="Token",
    ),
    _Call(
        "setUser",
        "put",
        _DEVICE + "/user",
        "Log a person in",
        key="beamsToken",
        more=("403", "422"),
    ),
    _Call(
        "interests",
        "get",
        _INTERESTS,
        "A page of its interests, in ascending order",
        answer="InterestsPage",
        is_paged=True,
    ),
    _Call("setInterests", "put", _INTERESTS, "Replace its interests", body="Interests"),
    _Call("addInterest", "post", _ONE, "Subscribe"),
    _Call("removeInterest", "delete", _ONE, "Unsubscribe"),
)

_PLACES: Final[dict[str, Json]] = {
    "gateway": {"enum": [str(gateway) for gateway in Gateway]},
    "device": {"type": "string", "minLength": 1, "examples": ["apns-01a217bb-a006-7a17-b246"]},
    "interest": INTEREST,
}
_PAGE: Final[list[Json]] = [
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": schema.LONGEST_PAGE},
    },
    {
        "name": "cursor",
        "in": "query",
        "description": "`nextCursor` of the page before",
        "schema": TEXT,
    },
]


def _post(summary: str, body: str) -> Json:
    operation = _operation(
        "Publish", summary, body=body, answer="Accepted", key="secretKey", more=["422"]
    )
    operation["parameters"].append(
        {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "What is sent again under its key is the same publish, for 24 hours.",
            "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
        }
    )
    return operation


def _operation(
    tag: str,
    summary: str,
    *,
    body: str | None = None,
    answer: str | None = None,
    key: str | None = None,
    more: Iterable[str] = (),
) -> Json:
    """
    One method of one path, without its id.

    Args:
        tag: Under which heading.
        summary: What it does.
        body: The name of its body's schema; None if it has none.
        answer: The name of its answer's schema; None if that is empty.
        key: What it has to bear.
        more: Statuses besides those that every operation may be answered.
    """
    statuses = {
        *_AT_THE_DOOR,
        *more,
        *(["401"] if key else []),
        *([] if tag == "Reports" else _NEVER_OF_REPORTS),
    }
    success: Json = {"description": "Done." if answer is None else "What was asked for."}
    if answer is not None:
        success["content"] = _json({"$ref": f"#/components/schemas/{answer}"})
    operation: Json = {
        "tags": [tag],
        "summary": summary,
        "parameters": [
            _in_path("instance", {"type": "string", "format": "uuid", "examples": [_INSTANCE]})
        ],
        "responses": {"200": success}
        | {each: {"$ref": f"#/components/responses/{each}"} for each in sorted(statuses)},
    }
    if body is not None:
        own = _json({"$ref": f"#/components/schemas/{body}"})
        operation["requestBody"] = {
            "required": True,
            "description": f"At most {_BYTES[body]:,} bytes.",
            "content": own,
        }
    if key:
        operation["security"] = [{key: []}]
    return operation


def _in_path(name: str, kind: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": kind}


def _json(kind: Json) -> Json:
    return {"application/json": {"schema": kind}}


def refusals() -> Json:
    """What is answered instead, by status."""
    return {status: _refusal(status) for status in _SENTENCES}


def _refusal(status: str) -> Json:
    refusal: Json = {
        "description": _SENTENCES[status],
        "content": _json({"$ref": "#/components/schemas/Problem"}),
    }
    if status in ("429", "503"):
        refusal["headers"] = {
            "Retry-After": {
                "required": True,
                "description": "Seconds.",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    return refusal
