"""
What a caller did wrong, as an HTTP answer.

Every error of every API here is a JSON object with ``error`` (a title) and
``description`` (a sentence), both never empty: SDKs crash on less.
"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Problem(Exception):  # noqa: N818  (it is the caller's, not ours)
    """A request that cannot be served, with the answer it gets."""

    def __init__(
        self, status: int, error: str, description: str, *, retry_after: int | None = None
    ) -> None:
        """
        Say what is wrong.

        Args:
            status: The HTTP status.
            error: A title, the same for all problems of a kind.
            description: A sentence that tells the caller what to change.
            retry_after: Seconds until it may work.
        """
        super().__init__(f"{status} {error}: {description}")
        self.status = status
        self.error = error
        self.description = description
        self.retry_after = retry_after


def json_response(
    value: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """An answer with a JSON body and, as Beams has it, a new line at its end."""
    return Response(
        msgspec.json.encode(value) + b"\n",
        status_code=status,
        headers=headers,
        media_type="application/json",
    )


def problem_response(problem: Problem) -> Response:
    """The answer that a problem gets."""
    headers = {} if problem.retry_after is None else {"retry-after": str(problem.retry_after)}
    if problem.status == 401:  # noqa: PLR2004  (RFC 9110 §15.5.2 wants a challenge)
        headers["www-authenticate"] = "Bearer"
    return json_response(
        {"error": problem.error, "description": problem.description},
        status=problem.status,
        headers=headers,
    )


async def answer_problem(_request: Request, problem: Exception) -> Response:
    """Starlette's handler for ``Problem``."""
    assert isinstance(problem, Problem)  # noqa: S101  (it is registered for that)
    return problem_response(problem)


async def answer_http_exception(_request: Request, problem: Exception) -> Response:
    """Starlette's handler for what its router refuses: unknown paths and methods."""
    assert isinstance(problem, HTTPException)  # noqa: S101  (it is registered for that)
    titles = {404: "Not found", 405: "Method not allowed"}
    sentences = {404: "There is nothing at this path", 405: "This path has no such method"}
    response = problem_response(
        Problem(
            problem.status_code,
            titles.get(problem.status_code, "Bad request"),
            sentences.get(problem.status_code, problem.detail or "The request cannot be served"),
        )
    )
    response.headers.update(problem.headers or {})
    return response
