"""Queries on provider tokens: sealed, and each known by a digest of the key that made it."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.storage import locks
from heliograph.storage.tables import provider_tokens


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A token as it is kept."""

    token: bytes = field(repr=False)
    made_at: datetime
    expires_at: datetime


async def find(connection: AsyncConnection, digest: bytes) -> SealedToken | None:
    """The token of a key; None if there is none."""
    query = select(
        provider_tokens.c.token, provider_tokens.c.made_at, provider_tokens.c.expires_at
    ).where(provider_tokens.c.digest == digest)
    row = (await connection.execute(query)).first()
    return None if row is None else SealedToken(*row)


async def hold(connection: AsyncConnection, digest: bytes) -> SealedToken | None:
    """The same; until the transaction ends nobody else can hold or keep it."""
    await locks.hold_name(connection, "provider_token", digest)
    return await find(connection, digest)


async def keep(connection: AsyncConnection, digest: bytes, token: SealedToken) -> None:
    """Put a token in the place of the one before, which is held; the expired ones go."""
    await connection.execute(
        delete(provider_tokens).where(
            (provider_tokens.c.digest == digest) | (provider_tokens.c.expires_at < token.made_at)
        )
    )
    await connection.execute(
        insert(provider_tokens).values(
            digest=digest,
            token=token.token,
            made_at=token.made_at,
            expires_at=token.expires_at,
        )
    )
