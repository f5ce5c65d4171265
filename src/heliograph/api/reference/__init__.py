"""
``/docs``: what can be asked of this server, for people, and for tools as OpenAPI.

The page is made from the description when the server starts; it loads nothing from anywhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

_FREELY: Final = {
    "access-control-allow-origin": "*",
    "cache-control": "no-cache",
    "vary": "accept",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One operation, as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    is_older: bool
    key: str | None
    """What it has to bear, in the words of the description."""
    parameters: list[Mapping[str, Any]]
    body: str | None
    """An example, as indented JSON."""
    size: str | None
    """How large a body may be, in a sentence."""
    members: str | None
    """The schema of the body, as indented JSON."""
    curl: str
    """A command that makes the call, but for its id and its key."""
    answers: list[tuple[str, str]]
    """Statuses and what they mean."""
    answer: str | None
    """The schema of a success, as indented JSON."""


def routes(description: Mapping[str, Any]) -> list[Route]:
    """
    The page and the description.

    Args:
        description: In OpenAPI 3.1.
    """
    page, document = _page(description), msgspec.json.encode(description)

    async def show(request: Request) -> Response:
        """Answer the page, or the description to who asks for JSON."""
        if "application/json" in request.headers.get("accept", ""):
            return await show_description(request)
        return HTMLResponse(page, headers={"cache-control": "no-cache", "vary": "accept"})

    async def show_description(_request: Request) -> Response:
        """Answer the description, to whoever asks from wherever."""
        return Response(document, media_type="application/json", headers=_FREELY)

    return [
        Route("/docs", show, methods=["GET"]),
        Route("/docs/openapi.json", show_description, methods=["GET"]),
    ]


def _page(description: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("heliograph.api.reference", "."), autoescape=True, trim_blocks=True
    )
    environment.filters["limits"] = _limits
    groups = [
        (tag, [each for each in _calls(description) if each[0] == tag["name"]])
        for tag in description["tags"]
    ]
    return environment.get_template("page.html").render(
        info=description["info"],
        groups=[(tag, [call for _, call in found]) for tag, found in groups],
    )


def _calls(description: Mapping[str, Any]) -> Iterator[tuple[str, Call]]:
    """Every operation, with its tag."""
    components = description["components"]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            keys = [name for each in operation.get("security", []) for name in each]
            answers = {
                status: _resolved(description, answer)
                for status, answer in operation["responses"].items()
            }
            yield (
                operation["tags"][0],
                Call(
                    id=operation["operationId"],
                    method=method.upper(),
                    path=path,
                    summary=operation["summary"],
                    is_older=operation.get("deprecated", False),
                    key=components["securitySchemes"][keys[0]]["description"] if keys else None,
                    parameters=operation["parameters"],
                    body=_example(description, operation),
                    size=operation.get("requestBody", {}).get("description"),
                    members=_members(description, operation),
                    curl=_curl(method, path, operation, _example(description, operation)),
                    answers=[(status, each["description"]) for status, each in answers.items()],
                    answer=_schema(description, answers["200"]),
                ),
            )


def _example(description: Mapping[str, Any], operation: Mapping[str, Any]) -> str | None:
    if "requestBody" not in operation:
        return None
    kind = _resolved(description, operation["requestBody"]["content"]["application/json"]["schema"])
    shown = kind.get("examples", [None])[0]
    return _indented(kind if shown is None else shown)


def _curl(method: str, path: str, operation: Mapping[str, Any], body: str | None) -> str:
    lines = [f"curl -X {method.upper()} 'https://push.example.com{path}'"]
    if operation.get("security"):
        lines.append("  -H 'Authorization: Bearer …'")
    if body is not None:
        compact = json.dumps(json.loads(body), ensure_ascii=False)
        lines += ["  -H 'Content-Type: application/json'", f"  -d '{compact}'"]
    return " \\\n".join(lines)


def _members(description: Mapping[str, Any], operation: Mapping[str, Any]) -> str | None:
    if "requestBody" not in operation:
        return None
    kind = _resolved(description, operation["requestBody"]["content"]["application/json"]["schema"])
    return _indented(
        {name: value for name, value in kind.items() if name not in ("type", "examples")}
    )


def _limits(kind: Mapping[str, Any]) -> str:
    """What a parameter may be, in the words of JSON Schema."""
    shown = {name: value for name, value in kind.items() if name != "examples"}
    return ", ".join(
        f"{name} {'|'.join(value) if isinstance(value, list) else value}"
        for name, value in shown.items()
    )


def _schema(description: Mapping[str, Any], answer: Mapping[str, Any]) -> str | None:
    if "content" not in answer:
        return None
    kind = _resolved(description, answer["content"]["application/json"]["schema"])
    return _indented(kind["properties"])


def _resolved(description: Mapping[str, Any], value: Mapping[str, Any]) -> Any:
    """What a reference stands for; what is none is itself."""
    found: Any = value
    if "$ref" in value:
        found = description
        for name in value["$ref"].removeprefix("#/").split("/"):
            found = found[name]
    return found


def _indented(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
