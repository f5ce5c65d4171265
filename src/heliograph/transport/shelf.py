"""
Where tokens lie that prove who we are: one place for all processes of a database.

Apple wants one provider token of a key for at least twenty minutes, whichever process
uses it and however often one is restarted. So tokens are kept, sealed, and made by one
while the others wait.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from heliograph.errors import ShelfSilent
from heliograph.storage import provider_tokens
from heliograph.storage.database import Database
from heliograph.storage.provider_tokens import SealedToken
from heliograph.wire.seal import Seal

PATIENCE: Final = timedelta(seconds=3)
"""How long the database may take; a message waits meanwhile."""


_ANY_TOKEN: Final = bytes(32)
"""The digest of no key: what lies there only shows which master key is the right one."""

_FOR_EVER: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Token:
    """What proves who we are, for a time."""

    value: str = field(repr=False)
    made_at: datetime
    expires_at: datetime


Choice = Callable[[Token | None], Token]
"""What is to lie there, given what does; the same one again if it is still good."""


class Shelf(Protocol):
    """A place for one token of each key."""

    async def find(self, digest: bytes) -> Token | None:
        """
        What lies there; None if nothing does.

        Raises:
            ShelfSilent: It cannot be known now.
        """

    async def agree(self, digest: bytes, choose: Choice) -> Token:
        """
        Put there what is chosen, while nobody else can; what lies there then.

        Raises:
            ShelfSilent: It cannot be known now, and nothing was put there.
            ValueError: As ``choose`` does.
        """


class OwnShelf:
    """A shelf in memory, for a process that shares nothing."""

    def __init__(self) -> None:
        """Begin with an empty one."""
        self._tokens: dict[bytes, Token] = {}

    async def find(self, digest: bytes) -> Token | None:
        """See ``Shelf``."""
        return self._tokens.get(digest)

    async def agree(self, digest: bytes, choose: Choice) -> Token:
        """See ``Shelf``."""
        self._tokens[digest] = token = choose(self._tokens.get(digest))
        return token


class SharedShelf:
    """A shelf in the database; what lies there is sealed."""

    def __init__(
        self,
        database: Database,
        seal: Seal,
        *,
        randomness: Callable[[int], bytes],
        patience: timedelta = PATIENCE,
    ) -> None:
        """Look at a database; nothing is read yet."""
        self._database = database
        self._seal = seal
        self._randomness = randomness
        self._patience = patience.total_seconds()

    async def find(self, digest: bytes) -> Token | None:
        """See ``Shelf``."""
        try:
            async with asyncio.timeout(self._patience), self._database.read() as connection:
                return self._opened(digest, await provider_tokens.find(connection, digest))
        except Exception as problem:  # noqa: BLE001  (drivers have many; and it may be too late)
            raise ShelfSilent(type(problem).__name__) from None

    async def agree(self, digest: bytes, choose: Choice) -> Token:
        """See ``Shelf``."""
        try:
            async with asyncio.timeout(self._patience), self._database.write() as connection:
                known = self._opened(digest, await provider_tokens.hold(connection, digest))
                token = choose(known)
                if token != known:
                    await provider_tokens.keep(connection, digest, self._sealed(digest, token))
                return token
        except ValueError:
            raise
        except Exception as problem:  # noqa: BLE001
            raise ShelfSilent(type(problem).__name__) from None

    async def check_key(self) -> None:
        """
        See whether our master key is that of all others; the first one here decides.

        Without it two processes with a key file each would notice only when one could not
        read the credentials that came in through the other.

        Raises:
            ValueError: It is not.
        """
        async with self._database.read() as connection:
            kept = await provider_tokens.find(connection, _ANY_TOKEN)
        if kept is None:
            async with self._database.write() as connection:
                kept = await provider_tokens.hold(connection, _ANY_TOKEN)
                if kept is None:
                    kept = self._sealed(_ANY_TOKEN, Token("", *_FOR_EVER))
                    await provider_tokens.keep(connection, _ANY_TOKEN, kept)
        self._seal.open(kept.token, context=_context(_ANY_TOKEN))

    def _opened(self, digest: bytes, kept: SealedToken | None) -> Token | None:
        if kept is None:
            return None
        try:
            value = self._seal.open(kept.token, context=_context(digest))
        except ValueError:  # sealed with a master key that was lost: of no use to anybody
            return None
        return Token(value.decode(), kept.made_at, kept.expires_at)

    def _sealed(self, digest: bytes, token: Token) -> SealedToken:
        nonce = self._randomness(12)
        value = self._seal.seal(token.value.encode(), context=_context(digest), nonce=nonce)
        return SealedToken(value, token.made_at, token.expires_at)


def _context(digest: bytes) -> str:
    return f"provider_tokens/{digest.hex()}"
