"""How a device gets a Beams token: from the app's own back end, which knows who it is."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from heliograph.client.endpoint import json_object
from heliograph.client.errors import TokenProviderError, Unreachable
from heliograph.client.profiles import Query
from heliograph.client.retry import Retry, exchange
from heliograph.client.steps import Call, Operation

_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class AuthData:
    """What the app's back end needs to know its caller again."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Such as ``{"Authorization": "Bearer …"}``."""

    query_params: Mapping[str, str] = field(default_factory=dict)
    """Added to the URL's query."""


class BeamsTokenProvider:
    """
    Asks the app's back end for a Beams token, by GET, whenever one is needed.

    The request has ``user_id`` in its query besides what ``AuthData`` adds; the reply
    must be 2xx with the JSON ``{"token": …}``. A query that the URL already has is kept
    (the iOS SDK drops it). ``user_id`` is always that of ``set_user_id``.
    """

    def __init__(
        self,
        auth_url: str,
        get_auth_data: Callable[[], AuthData | Awaitable[AuthData]] = AuthData,
    ) -> None:
        """
        Keep where to ask; nothing is sent.

        Args:
            auth_url: The endpoint of the app's back end.
            get_auth_data: Called before each request. With the asynchronous class it
                may be asynchronous. It must not call the device's operations.
        """
        self._auth_url = httpx.URL(auth_url)
        self._get_auth_data = get_auth_data

    def fetch_token(
        self, user_id: str, *, retry: Retry, query: Query | None = None
    ) -> Operation[str]:
        """
        Ask for a token for this user.

        Args:
            user_id: The user.
            retry: How often.
            query: What an official SDK makes of the query that the URL has already; None
                keeps it.

        Raises:
            TokenProviderError: The back end could not be reached, refused, or answered
                something else.
        """
        auth_data: AuthData = yield Call(self._get_auth_data)
        request = httpx.Request(
            "GET",
            _with_query(self._auth_url, auth_data.query_params, user_id, query),
            headers={"accept": "application/json", **auth_data.headers},
        )
        try:
            reply = yield from exchange(request, retry)
        except Unreachable as error:
            raise TokenProviderError(f"no Beams token: {error}", status=error.status) from error
        return _token(reply)


def _with_query(
    url: httpx.URL, params: Mapping[str, str], user_id: str, query: Query | None
) -> httpx.URL:
    """The URL that is asked (contract §6): the web SDK's breaks where there is a query."""
    match query:
        case "replaced":
            return url.copy_with(params={**params, "user_id": user_id})
        case "appended":
            return httpx.URL(f"{url}?{httpx.QueryParams({'user_id': user_id, **params})}")
        case _:
            return url.copy_merge_params({**params, "user_id": user_id})


def _token(reply: httpx.Response) -> str:
    status = reply.status_code
    if not reply.is_success:
        raise TokenProviderError(f"no Beams token: status {status}", status=status)
    token = (json_object(reply) or {}).get("token")
    if not isinstance(token, str) or not _VISIBLE_ASCII.fullmatch(token):
        raise TokenProviderError('no Beams token: the reply is not {"token": …}', status=status)
    return token
