"""
``POST /identity/token``: a token for an API key, where a client's host for it can be set.

Contract §1.4. An instance's app secret is its API key. The token that is refreshed is not
needed to have a new one, but the client on PyPI refreshes all the time.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from heliograph.api.bodies import read_bytes
from heliograph.api.ibm import tokens
from heliograph.api.ibm.answers import (
    answered,
    check_media_type,
    json_response,
)
from heliograph.api.ibm.door import (
    EVERY_METHOD,
)
from heliograph.api.ibm.problems import Code, problem
from heliograph.api.limits import Rate, address_of
from heliograph.api.problems import Problem
from heliograph.instances import Instances

PATH: Final = "/identity/token"
_API_KEY: Final = "urn:ibm:params:oauth:grant-type:apikey"
_MOST_BYTES: Final = 16_384
_GRANTS: Final = (_API_KEY, "refresh_token")


class Identity:
    """The one handler."""

    def __init__(
        self, instances: Instances, *, device_rate: int, clock: Callable[[], datetime]
    ) -> None:
        """Know these instances by their app secrets; an address asks no oftener than a device."""
        self._instances = instances
        self._rate = Rate(device_rate)
        self._clock = clock

    def routes(self) -> list[BaseRoute]:
        """The path of IBM's identity service."""
        return [Route(PATH, self.serve, methods=EVERY_METHOD)]

    async def serve(self, request: Request) -> Response:
        """Answer in IBM's form, whatever comes of it."""
        return await answered(self.give, request)

    async def give(self, request: Request) -> Response:
        """A token for an API key."""
        if request.method != "POST":
            raise Problem(405, Code.UNSUPPORTED, "Method Not Allowed - This path knows POST")
        now = self._clock()
        self._rate.check(address_of(request), "address", now=now)
        check_media_type(request, wanted="application/x-www-form-urlencoded")
        form = _read(await read_bytes(request, most_bytes=_MOST_BYTES))
        if form.get("grant_type") not in _GRANTS:
            raise _refused(f"grant_type must be one of {', '.join(_GRANTS)}")
        key = form.get("apikey") or request.headers.get("apikey", "")
        instance = await self._instances.of_app_secret(key) if key else None
        if instance is None:
            raise _refused("Provided API key could not be found")
        if form["grant_type"] == "refresh_token" and not tokens.is_token(
            form.get("refresh_token", ""), instance, now=now, use="refresh"
        ):
            raise _refused("The refresh token is not valid")
        return json_response(tokens.grant(instance, now=now))


def _read(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(body.decode(), max_num_fields=20)
    except ValueError:
        raise problem(Code.INVALID_JSON, "The body is no form") from None
    return {name: values[-1] for name, values in fields.items()}


def _refused(sentence: str) -> Problem:
    """IBM's identity service answers 400 to a key that it does not know."""
    return Problem(400, Code.INVALID_VALUE, sentence)
