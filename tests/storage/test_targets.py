"""Targets of several kinds: whom they address, against a look at every device."""

from array import array
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from sqlalchemy import text

from builders import (
    NOW,
    add_device,
    add_instance,
    apns_address,
    database_in,
    fcm_address,
    web_address,
)
from heliograph.model import (
    Address,
    DeviceNumber,
    Gateway,
    InstanceNumber,
    Interest,
    Platform,
    ToMatching,
    UserId,
)
from heliograph.storage import devices, tables
from heliograph.storage.database import Database

USERS: Final = ["alice", "bob", None]
INTERESTS: Final[list[tuple[str, ...]]] = [(), ("news",), ("news", "sport")]
PLATFORMS: Final[list[Platform | None]] = [*Platform, None]


class Made(NamedTuple):
    """A device as it was made."""

    number: DeviceNumber
    user: str | None
    interests: tuple[str, ...]
    platform: Platform


def address_for(platform: Platform | None) -> Address:
    match platform.gateway if platform else Gateway.WEB:
        case Gateway.APNS:
            return apns_address()
        case Gateway.FCM:
            return fcm_address()
        case Gateway.WEB:
            return web_address()


async def crowd(database: Database) -> tuple[InstanceNumber, list[Made]]:
    """A device of every sort, those of another instance between them."""
    made: list[Made] = []
    async with database.write() as connection:
        ours, theirs = [await add_instance(connection, each) for each in (1, 2)]
        for user in USERS:
            for interests in INTERESTS:
                for platform in PLATFORMS:
                    _, number = [
                        await add_device(
                            connection,
                            instance,
                            address_for(platform),
                            user=user,
                            subscribed=interests,
                            platform=platform,
                        )
                        for instance in (theirs, ours)
                    ]
                    made.append(Made(number, user, interests, platform or Platform.CHROME))
        gone = await add_device(connection, ours, user="alice", subscribed=("news",))
        await devices.prune(connection, gone, reason="x", unless_registered_after=None, now=NOW)
    return ours, made


def is_meant(target: ToMatching, each: Made) -> bool:
    """One of each kind that is named."""
    return (
        (target.devices is None or each.number in target.devices)
        and (target.users is None or each.user in target.users)
        and (target.interests is None or not set(each.interests).isdisjoint(target.interests))
        and (target.platforms is None or each.platform in target.platforms)
    )


async def test_one_of_each_kind_that_is_named(either_database: Database) -> None:
    """Every combination of kinds, walked in small pages, and asked again at delivery."""
    instance, made = await crowd(either_database)
    choices: dict[str, list[Any]] = {
        "devices": [None, (), tuple(each.number for each in made[::3])],
        "users": [None, (UserId("alice"),), (UserId("bob"), UserId("nobody"))],
        "interests": [None, (Interest("sport"),), (Interest("news"), Interest("none"))],
        "platforms": [None, (Platform.CHROME,), (Platform.IOS, Platform.FIREFOX)],
    }
    async with either_database.read() as connection:
        for named in choices["devices"]:
            for users in choices["users"]:
                for interests in choices["interests"]:
                    for platforms in choices["platforms"]:
                        target = ToMatching(named, users, interests, platforms)
                        expected = [each for each in made if is_meant(target, each)]
                        found: list[DeviceNumber] = []
                        while page := await devices.addressed(
                            connection,
                            instance,
                            target,
                            list(Gateway),
                            after=found[-1] if found else 0,
                            limit=25,
                        ):
                            found += [DeviceNumber(each.number) for each in page]
                        assert [each.number for each in expected] == found

                        numbers = array("q", [each.number for each in made])
                        still = {
                            each.number
                            for gateway in Gateway
                            for each in await devices.still_addressed(
                                connection, instance, target, gateway, numbers
                            )
                        }
                        assert {each.number for each in expected} == still


@pytest.mark.parametrize(
    "target, used",
    [
        (ToMatching(), ["ix_devices_instance_number_number"]),
        (ToMatching(platforms=(Platform.IOS,)), ["ix_devices_instance_number_number"]),
        (ToMatching(devices=(DeviceNumber(1),)), ["PRIMARY KEY"]),
        (ToMatching(users=(UserId("u"),)), ["ix_devices_user_number"]),
    ],
)
async def test_nothing_is_walked_for_nothing(
    tmp_path: Path, target: ToMatching, used: list[str]
) -> None:
    """Everybody is walked along an index in order, and who is named is looked up; on SQLite."""
    statements: list[str] = []
    async with database_in(tmp_path) as database, database.read() as connection:
        (walk,) = devices._walks(InstanceNumber(1), target, after=0)  # noqa: SLF001
        walk = walk.where(tables.devices.c.number > 7)
        compiled = walk.limit(10).compile(
            dialect=connection.dialect, compile_kwargs={"literal_binds": True}
        )
        plan = await connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))
        statements += [str(row[3]) for row in plan]

    plan_of_devices = " ".join(each for each in statements if "devices" in each)
    assert [] == [each for each in used if each not in plan_of_devices], statements
    assert "SCAN devices" not in plan_of_devices
