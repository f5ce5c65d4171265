"""The shelf in the database: one token of a key, for all processes, sealed."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from builders import MASTER_KEY, NOW, Clock, apns_credentials, randomness
from heliograph.errors import ShelfSilent
from heliograph.storage import provider_tokens as queries
from heliograph.storage.database import Database
from heliograph.storage.tables import provider_tokens
from heliograph.transport.shelf import SharedShelf, Token
from heliograph.transport.tokens import ProviderTokens
from heliograph.wire.seal import Seal

HOUR = timedelta(hours=1)
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def token(value: str, *, made_at: timedelta = timedelta(0)) -> Token:
    return Token(value, NOW + made_at, NOW + made_at + HOUR)


def shelf_of(database: Database, *, master_key: str = MASTER_KEY, seed: int = 0) -> SharedShelf:
    """The shelf as one process sees it."""
    return SharedShelf(database, Seal(master_key), randomness=randomness(seed))


async def test_what_lies_there_is_found(either_database: Database) -> None:
    """By another process, and only under its own key."""
    await shelf_of(either_database).agree(KEY, lambda _: token("first"))
    other = shelf_of(either_database, seed=1)

    assert (token("first"), None) == (await other.find(KEY), await other.find(OTHER_KEY))


async def test_what_is_chosen_again_stays(either_database: Database) -> None:
    """The chooser is shown what lies there."""
    shelf = shelf_of(either_database)
    shown = []
    for choice in (token("first"), token("first"), token("second")):

        def choose(known: Token | None, choice: Token = choice) -> Token:
            shown.append(known)
            return choice

        await shelf.agree(KEY, choose)

    assert [None, token("first"), token("first")] == shown
    assert token("second") == await shelf.find(KEY)


async def test_of_many_who_choose_at_once_one_does(either_database: Database) -> None:
    """The others are shown what it chose; also when nothing lay there before."""

    async def choose(number: int) -> Token:
        shelf = shelf_of(either_database, seed=number)
        return await shelf.agree(KEY, lambda known: known or token(f"token {number}"))

    agreed = await asyncio.gather(*[choose(number) for number in range(8)])

    assert 1 == len({each.value for each in agreed})


async def test_many_processes_sign_once(either_database: Database) -> None:
    """A key's first token is made by whichever is first, and the next one as well."""
    clock = Clock()
    processes = [
        ProviderTokens(clock, shelf_of(either_database, seed=number)) for number in range(8)
    ]
    first = await asyncio.gather(*[each.current(apns_credentials()) for each in processes])
    clock.advance(HOUR)
    second = await asyncio.gather(*[each.current(apns_credentials()) for each in processes])

    assert (1, 1, 2) == (len(set(first)), len(set(second)), len({*first, *second}))


async def test_tokens_are_sealed(either_database: Database) -> None:
    """Whoever has the database but not the master key has no token; to them nothing lies there."""
    await shelf_of(either_database).agree(KEY, lambda _: token("a secret of ours"))

    async with either_database.read() as connection:
        (kept,) = (await connection.scalars(select(provider_tokens.c.token))).all()
    assert b"secret" not in kept
    assert None is await shelf_of(either_database, master_key="another master key").find(KEY)


async def test_a_token_that_was_moved_to_another_key_is_none(either_database: Database) -> None:
    """Each is sealed for its key."""
    await shelf_of(either_database).agree(KEY, lambda _: token("first"))
    async with either_database.write() as connection:
        await connection.execute(provider_tokens.update().values(digest=OTHER_KEY))

    assert None is await shelf_of(either_database).find(OTHER_KEY)


async def test_expired_tokens_go(either_database: Database) -> None:
    """With the next one that is put there, whichever key that is of."""
    shelf = shelf_of(either_database)
    await shelf.agree(KEY, lambda _: token("first"))
    await shelf.agree(OTHER_KEY, lambda _: token("other", made_at=HOUR + timedelta(seconds=1)))

    async with either_database.read() as connection:
        left = (await connection.scalars(select(provider_tokens.c.digest))).all()
    assert [OTHER_KEY] == left


async def test_a_choice_that_fails_leaves_everything(either_database: Database) -> None:
    """A key that cannot sign says so to its caller."""
    shelf = shelf_of(either_database)
    await shelf.agree(KEY, lambda _: token("first"))

    def choose(_known: Token | None) -> Token:
        raise ValueError("not a private key")

    with pytest.raises(ValueError, match="not a private key"):
        await shelf.agree(KEY, choose)
    assert token("first") == await shelf.find(KEY)


async def test_a_database_that_does_not_answer_in_time_is_silent(
    either_database: Database,
) -> None:
    """Nobody waits for it longer than told; a little later it can be asked again."""
    shelf = SharedShelf(
        either_database,
        Seal(MASTER_KEY),
        randomness=randomness(),
        patience=timedelta(milliseconds=50),
    )
    patient = shelf_of(either_database, seed=1)
    is_held, may_go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with either_database.write() as connection:
            await queries.hold(connection, KEY)
            is_held.set()
            await may_go.wait()

    holding = asyncio.create_task(hold())
    await is_held.wait()
    with pytest.raises(ShelfSilent):
        await shelf.agree(KEY, lambda _: token("first"))
    may_go.set()
    await holding

    assert token("second") == await patient.agree(KEY, lambda known: known or token("second"))


async def test_a_database_that_is_gone_is_silent(either_database: Database) -> None:
    """Whatever its driver says of it."""
    async with either_database.write() as connection:
        await connection.execute(provider_tokens.delete())
        await connection.run_sync(provider_tokens.drop)

    with pytest.raises(ShelfSilent):
        await shelf_of(either_database).find(KEY)


async def test_the_first_master_key_is_that_of_all(either_database: Database) -> None:
    """A process with another one is refused, before it could write what others cannot read."""
    for seed in range(2):
        await shelf_of(either_database, seed=seed).check_key()

    with pytest.raises(ValueError, match="does not open"):
        await shelf_of(either_database, master_key="another master key").check_key()


async def test_the_master_key_is_still_known_when_tokens_go(either_database: Database) -> None:
    """What shows it does not expire."""
    await shelf_of(either_database).check_key()
    await shelf_of(either_database, seed=1).agree(KEY, lambda _: token("first"))

    with pytest.raises(ValueError, match="does not open"):
        await shelf_of(either_database, master_key="another master key").check_key()
