"""Tokens that prove who we are to a push service: made once, used by all."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from heliograph.errors import TransportError
from heliograph.gateways import apns, fcm
from heliograph.gateways.contract import Outcome, Refused, Unavailable
from heliograph.model import ApnsCredentials, FcmCredentials, ServiceAccount, VapidKeys
from heliograph.transport.client import Client
from heliograph.wire import vapid

_RENEW_EARLY: Final = timedelta(minutes=5)
"""How long before its end an access token is replaced."""

_MOST_AUDIENCES: Final = 10_000
"""Push services whose authorizations are kept; there are four big ones."""


class ProviderTokens:
    """
    APNs provider tokens, one for each signing key.

    Apple wants each used for 20 to 60 minutes: a younger one must not be replaced
    (429 TooManyProviderTokenUpdates), an older one is refused (403
    ExpiredProviderToken).
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Begin with none."""
        self._clock = clock
        self._made: dict[ApnsCredentials, tuple[str, datetime]] = {}

    def current(self, credentials: ApnsCredentials) -> str:
        """
        The token to use now.

        Raises:
            ValueError: The key is none that could sign.
        """
        return self._not_older_than(apns.TOKEN_LIFETIME, credentials)

    def renew(self, credentials: ApnsCredentials) -> str:
        """A new token, if the one in use may be replaced already; else that one."""
        return self._not_older_than(apns.MIN_TOKEN_AGE, credentials)

    def _not_older_than(self, age: timedelta, credentials: ApnsCredentials) -> str:
        now = self._clock()
        token, made_at = self._made.get(credentials, ("", now - age))
        if now - made_at >= age:
            token = apns.provider_token(credentials, now=now)
            self._made[credentials] = (token, now)
        return token


@dataclass(slots=True)
class _Account:
    """What we know of one service account's access token."""

    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)
    fetches: int = 0
    """How often we have asked for one."""
    known: fcm.AccessToken | Outcome | None = None
    """What the last fetch came to; None if it was forgotten, or there was none."""


class AccessTokens:
    """
    Google access tokens, one for each service account, fetched once for all who wait.

    A failure is shared, too: a thousand devices that wait for a token endpoint that
    does not answer must not wait for it one after another.
    """

    def __init__(self, client: Client, clock: Callable[[], datetime]) -> None:
        """Begin with none."""
        self._client = client
        self._clock = clock
        self._accounts: dict[ServiceAccount, _Account] = {}

    async def current(self, credentials: FcmCredentials) -> str | Outcome:
        """The token to use now; or, if there is none to be had, what that means."""
        account = self._accounts.setdefault(credentials.service_account, _Account())
        before = account.fetches
        async with account.fetching:
            known = account.known
            is_fresh = account.fetches != before or self._is_good(known)
            if known is None or not is_fresh:
                known = account.known = await self._fetch(credentials)
                account.fetches += 1
        return known.value if isinstance(known, fcm.AccessToken) else known

    def forget(self, credentials: FcmCredentials, refused: str) -> None:
        """Do not use a token again that Google has refused."""
        account = self._accounts.setdefault(credentials.service_account, _Account())
        if isinstance(account.known, fcm.AccessToken) and account.known.value == refused:
            account.known = None

    def _is_good(self, known: fcm.AccessToken | Outcome | None) -> bool:
        return (
            isinstance(known, fcm.AccessToken) and known.expires_at - _RENEW_EARLY > self._clock()
        )

    async def _fetch(self, credentials: FcmCredentials) -> fcm.AccessToken | Outcome:
        now = self._clock()
        try:
            request = fcm.token_request(credentials.service_account, now=now)
        except ValueError as problem:
            return Refused(str(problem))
        try:
            response = await self._client.send(request, ca=credentials.ca)
        except TransportError as problem:
            return Unavailable(f"token endpoint: {problem}")
        return fcm.read_token(response, now=now)


class VapidTokens:
    """VAPID authorizations, one for each key pair and push service (RFC 8292 §2)."""

    def __init__(self, subject: str, clock: Callable[[], datetime]) -> None:
        """
        Begin with none.

        Args:
            subject: How a push service reaches the operator; ``vapid.check_subject``.
            clock: The time.
        """
        self._subject = subject
        self._clock = clock
        self._made: dict[tuple[bytes, str], tuple[str, datetime]] = {}

    def current(self, keys: VapidKeys, endpoint: str) -> str:
        """
        The ``authorization`` header to use now.

        Raises:
            ValueError: The endpoint is no http(s) address.
        """
        now = self._clock()
        audience = vapid.audience_of(endpoint)
        header, expires_at = self._made.get((keys.public_key, audience), ("", now))
        if expires_at - vapid.TOKEN_LIFETIME / 2 <= now:
            if len(self._made) >= _MOST_AUDIENCES:
                self._made.clear()  # a stranger may invent origins without end
            expires_at = now + vapid.TOKEN_LIFETIME
            header = vapid.authorization(
                keys, audience=audience, subject=self._subject, expires_at=expires_at
            )
            self._made[keys.public_key, audience] = (header, expires_at)
        return header
