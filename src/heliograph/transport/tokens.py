"""Tokens that prove who we are to a push service: made once, used by all."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from heliograph.errors import ShelfSilent, TransportError
from heliograph.gateways import apns, fcm
from heliograph.gateways.contract import Outcome, Refused, Unavailable
from heliograph.logs import Event
from heliograph.logs import get as log
from heliograph.model import ApnsCredentials, FcmCredentials, ServiceAccount, VapidKeys
from heliograph.transport.client import Client
from heliograph.transport.shelf import OwnShelf, Shelf, Token
from heliograph.wire import vapid

_RENEW_EARLY: Final = timedelta(minutes=5)
"""How long before its end an access token is replaced."""

_MARGIN: Final = timedelta(minutes=2)
"""How long before its end a provider token does not even serve as better than none."""

_SILENCE: Final = timedelta(seconds=10)
"""How long a shelf is left alone that did not answer."""

_SKEW: Final = timedelta(minutes=5)
"""How far ahead another machine's clock may be; what was made later than that is no good."""

_MOST_AUDIENCES: Final = 10_000
"""Push services whose authorizations are kept; there are four big ones."""


@dataclass(slots=True)
class _Held:
    """What this process has of one key's provider token."""

    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: Token | None = None
    is_refused: bool = False
    silent_until: datetime | None = None
    """Until when a shelf that did not answer is not asked again."""


class ProviderTokens:
    """
    APNs provider tokens, one for each signing key, whichever process uses it.

    Apple wants each used for 20 to 60 minutes: a younger one must not be replaced
    (429 TooManyProviderTokenUpdates), an older one is refused (403
    ExpiredProviderToken).
    """

    def __init__(self, clock: Callable[[], datetime], shelf: Shelf | None = None) -> None:
        """
        Begin with none.

        Args:
            clock: The time.
            shelf: Where they are kept for others; None means for nobody.
        """
        self._clock = clock
        self._shelf: Shelf = shelf or OwnShelf()
        self._keys: dict[bytes, _Held] = {}

    async def current(self, credentials: ApnsCredentials) -> str:
        """
        The token to use now.

        Raises:
            ValueError: The key is none that could sign.
            ShelfSilent: There is none yet, and the shelf does not answer.
        """
        name = _name_of_key(credentials)
        held = self._keys.setdefault(name, _Held())
        if not self._is_good(held) and not (held.asking.locked() and self._may_serve(held)):
            async with held.asking:
                if not self._is_good(held):
                    await self._obtain(name, held, credentials)
        assert held.token is not None  # noqa: S101  (else obtaining it had raised)
        return held.token.value

    def forget(self, credentials: ApnsCredentials, refused: str) -> None:
        """Use another token than the one that Apple has refused, as soon as there may be one."""
        held = self._keys.setdefault(_name_of_key(credentials), _Held())
        if held.token is not None and held.token.value == refused:
            held.is_refused = True

    async def _obtain(self, name: bytes, held: _Held, credentials: ApnsCredentials) -> None:
        refused = held.token if held.is_refused else None

        def choose(known: Token | None) -> Token:
            now = self._clock()
            most = apns.MIN_TOKEN_AGE if known == refused else apns.TOKEN_LIFETIME
            if known is not None and -_SKEW < now - known.made_at < most:
                return known
            value = apns.provider_token(credentials, now=now)
            return Token(value, now, now + apns.TOKEN_VALIDITY)

        try:
            held.token = await self._shelf.agree(name, choose)
            held.is_refused = False
        except ShelfSilent as problem:
            if not self._may_serve(held):
                raise
            log().warning(Event.SHELF_SILENT, problem=str(problem))
            held.silent_until = self._clock() + _SILENCE

    def _is_good(self, held: _Held) -> bool:
        """Whether its token is to be used without asking anybody."""
        if held.token is None:
            return False
        now = self._clock()
        if held.silent_until is not None and now < held.silent_until:
            return self._may_serve(held)
        return not held.is_refused and now - held.token.made_at < apns.TOKEN_LIFETIME

    def _may_serve(self, held: _Held) -> bool:
        """Whether its token is better than none: Apple takes it for an hour."""
        return held.token is not None and self._clock() < held.token.expires_at - _MARGIN


@dataclass(slots=True)
class _Account:
    """What we know of one service account's access token."""

    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)
    fetches: int = 0
    """How often we have asked for one."""
    known: Token | Outcome | None = None
    """What the last fetch came to; None if it was forgotten, or there was none."""
    refused: str | None = None
    """The one that Google refused at last."""


class AccessTokens:
    """
    Google access tokens, one for each service account, fetched once for all who wait.

    A failure is shared, too: a thousand devices that wait for a token endpoint that
    does not answer must not wait for it one after another. Other processes find on the
    shelf what one has fetched; two that fetch at the same moment do no harm.
    """

    def __init__(
        self, client: Client, clock: Callable[[], datetime], shelf: Shelf | None = None
    ) -> None:
        """
        Begin with none.

        Args:
            client: The way to Google.
            clock: The time.
            shelf: Where they are kept for others; None means for nobody.
        """
        self._client = client
        self._clock = clock
        self._shelf = shelf
        self._accounts: dict[ServiceAccount, _Account] = {}

    async def current(self, credentials: FcmCredentials) -> str | Outcome:
        """The token to use now; or, if there is none to be had, what that means."""
        account = self._accounts.setdefault(credentials.service_account, _Account())
        before = account.fetches
        async with account.fetching:
            known = account.known
            is_fresh = account.fetches != before or self._is_good(known)
            if known is None or not is_fresh:
                known = account.known = await self._obtain(credentials, account)
                account.fetches += 1
        return known.value if isinstance(known, Token) else known

    def forget(self, credentials: FcmCredentials, refused: str) -> None:
        """Do not use a token again that Google has refused."""
        account = self._accounts.setdefault(credentials.service_account, _Account())
        if isinstance(account.known, Token) and account.known.value == refused:
            account.known, account.refused = None, refused

    def _is_good(self, known: Token | Outcome | None) -> bool:
        return isinstance(known, Token) and known.expires_at - _RENEW_EARLY > self._clock()

    async def _obtain(self, credentials: FcmCredentials, account: _Account) -> Token | Outcome:
        """What lies on the shelf, if it is good; else a new one, which then lies there."""
        if self._shelf is None:
            return await self._fetch(credentials)
        name = _name_of_account(credentials.service_account)
        try:
            shared = await self._shelf.find(name)
            if shared is not None and self._is_good(shared) and shared.value != account.refused:
                return shared
        except ShelfSilent as problem:
            log().warning(Event.SHELF_SILENT, problem=str(problem))
            return await self._fetch(credentials)
        fetched = await self._fetch(credentials)
        if isinstance(fetched, Token):
            await _put_on(self._shelf, name, fetched)
        return fetched

    async def _fetch(self, credentials: FcmCredentials) -> Token | Outcome:
        now = self._clock()
        try:
            request = fcm.token_request(credentials.service_account, now=now)
        except ValueError as problem:
            return Refused(str(problem))
        try:
            response = await self._client.send(request, ca=credentials.ca)
        except TransportError as problem:
            return Unavailable(f"token endpoint: {problem}")
        read = fcm.read_token(response, now=now)
        if isinstance(read, fcm.AccessToken):
            return Token(read.value, now, read.expires_at)
        return read


async def _put_on(shelf: Shelf, name: bytes, token: Token) -> None:
    """Let others find a token, if the shelf answers: they can fetch one themselves."""
    try:
        await shelf.agree(name, lambda _known: token)
    except ShelfSilent as problem:
        log().warning(Event.SHELF_SILENT, problem=str(problem))


def _name_of_key(credentials: ApnsCredentials) -> bytes:
    return _digest(
        "apns", credentials.endpoint, credentials.team_id, credentials.key_id, credentials.key
    )


def _name_of_account(account: ServiceAccount) -> bytes:
    return _digest(
        "fcm", account.token_uri, account.client_email, account.private_key_id, account.private_key
    )


def _digest(*parts: str | None) -> bytes:
    return hashlib.sha256("\0".join(part or "" for part in parts).encode()).digest()


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
