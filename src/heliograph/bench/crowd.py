"""
An audience in a database: an instance, its devices, and what they subscribe to.

They are put there in bulk, as registrations through the API would leave them. Everybody
subscribes to ``EVERYBODY``, the first of them to ``SOME`` as well.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph import app
from heliograph.config import Settings
from heliograph.instances import Instance
from heliograph.model import Gateway, InstanceNumber, VapidKeyNumber, WebAddress
from heliograph.storage import vapid_keys
from heliograph.storage.database import Database
from heliograph.storage.tables import devices, interests, users

EVERYBODY: Final = "everybody"
SOME: Final = "some"

_AT_ONCE: Final = 10_000
_TOKEN_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is there, and how to speak for them."""

    instance: str
    secret_key: str
    count: int
    gateway: Gateway = Gateway.APNS


async def gather(
    settings: Settings,
    count: int,
    some: int,
    tell: Callable[[int], object],
    *,
    name: str = "crowd",
    browsers: Sequence[WebAddress] = (),
) -> Audience:
    """
    Make an instance with so many devices, each with a person logged in.

    Args:
        settings: Where.
        count: How many devices.
        some: How many of them subscribe to ``SOME``.
        tell: Called with how many there are.
        name: What the instance is called; tokens are distinct by it.
        browsers: The subscriptions of the devices, one for each; none, and they are Apple's.
    """
    async with app.storage(settings) as (database, instances):
        made = await instances.create(name)
        for start in range(0, count, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, count))
            await _add(database, made, numbers, some, browsers, now=app.now())
            tell(numbers.stop)
        gateway = Gateway.WEB if browsers else Gateway.APNS
        return Audience(made.id, made.secret_keys[0], count, gateway)


def token(name: str, number: int) -> str:
    """The address of a device, in hex as Apple's are."""
    head = hashlib.sha256(name.encode()).hexdigest()[: _TOKEN_DIGITS // 2]
    return f"{head}{number:0{_TOKEN_DIGITS // 2}x}"


def person(number: int) -> str:
    """Who is logged in on a device."""
    return f"person-{number}"


async def _add(
    database: Database,
    instance: Instance,
    numbers: range,
    some: int,
    browsers: Sequence[WebAddress],
    *,
    now: datetime,
) -> None:
    async with database.write() as connection:
        await connection.execute(insert(users), list(_people(instance.number, numbers, now)))
        people = await _newest(connection, users, len(numbers))
        rows = list(_rows(instance, numbers, people, now))
        if browsers:
            key = await vapid_keys.current(connection, instance.number)
            rows = [
                row | _subscribed(browsers[number], key)
                for number, row in zip(numbers, rows, strict=True)
            ]
        await connection.execute(insert(devices), rows)
        subscribed = [
            {"instance_number": instance.number, "name": interest, "device_number": device}
            for number, device in zip(
                numbers,
                await _newest(connection, devices, len(numbers)),
                strict=True,
            )
            for interest in ([EVERYBODY, SOME] if number < some else [EVERYBODY])
        ]
        await connection.execute(insert(interests), subscribed)


async def _newest(connection: AsyncConnection, table: Table, count: int) -> list[int]:
    """The numbers of the rows that were added last, in the order in which they were."""
    # Asked for the instance as well, SQLite would sort all that it has.
    query = select(table.c.number).order_by(table.c.number.desc()).limit(count)
    return list(await connection.scalars(query))[::-1]


def _people(instance: InstanceNumber, numbers: range, now: datetime) -> Iterator[dict[str, Any]]:
    for number in numbers:
        yield {"instance_number": instance, "id": person(number), "created_at": now}


def _rows(
    instance: Instance, numbers: range, people: list[int], now: datetime
) -> Iterator[dict[str, Any]]:
    for number, user in zip(numbers, people, strict=True):
        address = token(instance.name, number)
        yield {
            "instance_number": instance.number,
            "id": f"apns-{hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()}",
            "gateway": "apns",
            "address_digest": hashlib.sha256(f"apns:{address}".encode()).digest(),
            "token": address,
            "user_number": user,
            "metadata": {},
            "created_at": now,
            "registered_at": now,
        }


def _subscribed(browser: WebAddress, key: VapidKeyNumber | None) -> dict[str, Any]:
    """What a browser's row has instead of what one of Apple's has."""
    address = browser.endpoint
    return {
        "id": f"web-{hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()}",
        "gateway": "web",
        "address_digest": hashlib.sha256(f"web:{address}".encode()).digest(),
        "token": address,
        "p256dh": browser.p256dh,
        "auth": browser.auth,
        "vapid_key_number": key,
    }
