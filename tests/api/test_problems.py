"""What a caller did wrong, as an HTTP answer."""

import json

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from heliograph.api.problems import (
    Problem,
    answer_http_exception,
    answer_problem,
    json_response,
    problem_response,
)

REQUEST = Request({"type": "http"})


def test_an_answer_is_json_and_ends_its_line() -> None:
    """The body ends with a new line, as Beams' do, and its length is told."""
    response = json_response({"a": "é"}, status=201, headers={"x-y": "z"})

    assert (201, b'{"a":"\xc3\xa9"}\n') == (response.status_code, response.body)
    assert ("application/json", "11", "z") == tuple(
        response.headers[name] for name in ("content-type", "content-length", "x-y")
    )


def test_a_problem_is_a_title_and_a_sentence() -> None:
    """Every error has the same two members; SDKs crash on less."""
    response = problem_response(Problem(422, "Unprocessable Entity", "Too much"))

    assert 422 == response.status_code
    assert {"error": "Unprocessable Entity", "description": "Too much"} == json.loads(
        bytes(response.body)
    )
    assert {"content-length", "content-type"} == set(response.headers)


def test_a_problem_may_tell_when_it_is_over() -> None:
    """The seconds to wait are a header."""
    assert "7" == problem_response(Problem(429, "e", "d", retry_after=7)).headers["retry-after"]


def test_who_is_not_known_is_told_how_to_say_who_they_are() -> None:
    """A 401 names the scheme (RFC 9110 §15.5.2)."""
    assert "Bearer" == problem_response(Problem(401, "e", "d")).headers["www-authenticate"]


def test_a_problem_reads_well_in_a_traceback() -> None:
    """As text it is status, title and sentence."""
    assert "404 Not found: Nothing" == str(Problem(404, "Not found", "Nothing"))


async def test_a_raised_problem_is_answered() -> None:
    """What a handler raises is what the caller gets."""
    response = await answer_problem(REQUEST, Problem(400, "Bad request", "No"))

    assert (400, b'{"error":"Bad request","description":"No"}\n') == (
        response.status_code,
        response.body,
    )


@pytest.mark.parametrize(
    "problem,error,description",
    [
        (HTTPException(404), "Not found", "There is nothing at this path"),
        (HTTPException(405), "Method not allowed", "This path has no such method"),
        (HTTPException(400, "Too odd"), "Bad request", "Too odd"),
        (HTTPException(418, ""), "Bad request", "I'm a Teapot"),
    ],
)
async def test_what_the_router_refuses_has_the_same_shape(
    problem: HTTPException, error: str, description: str
) -> None:
    """Unknown paths and methods are told in words of ours, anything else in Starlette's."""
    problem.detail = problem.detail or description
    response = await answer_http_exception(REQUEST, problem)

    assert problem.status_code == response.status_code
    assert {"error": error, "description": description} == json.loads(bytes(response.body))


async def test_headers_of_a_refusal_stay() -> None:
    """The methods that a path has are told with a 405."""
    response = await answer_http_exception(REQUEST, HTTPException(405, headers={"Allow": "GET"}))

    assert "GET" == response.headers["allow"]
