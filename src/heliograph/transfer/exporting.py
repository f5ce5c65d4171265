"""Moving out: an instance's living devices, in the order they were made, page by page."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from heliograph.instances import Instance
from heliograph.model import (
    USUAL_PLATFORM,
    DeviceNumber,
    Platform,
    VapidKeyNumber,
    WebAddress,
    gateway_of,
)
from heliograph.storage import declared, movers
from heliograph.storage.database import Database
from heliograph.storage.declared import Declared
from heliograph.storage.devices import Device
from heliograph.transfer.declared import Declaration
from heliograph.transfer.records import Record
from heliograph.wire.jws import base64url

PAGE: Final = 1000


async def pages(database: Database, instance: Instance) -> AsyncIterator[Sequence[Record]]:
    """
    The devices of an instance.

    Each page is a look at the database of its own: what registers meanwhile may be among them.
    """
    keys = {number: base64url(pair.public_key) for number, pair in instance.vapid_keys.items()}
    after = DeviceNumber(0)
    while True:
        async with database.read(long=True) as connection:
            found = await movers.page(connection, instance.number, after=after, limit=PAGE)
        if found:
            yield [
                Record(
                    address=device.address,
                    id=device.id,
                    name=device.name,
                    platform=_platform_of(device),
                    user=device.user,
                    interests=tuple(names),
                    metadata=device.metadata,
                    registered_at=device.registered_at,
                    vapid_public_key=_key_of(device.address, keys),
                )
                for device, names in found
            ]
            after = found[-1][0].number
        if len(found) < PAGE:
            return


async def declarations(database: Database, instance: Instance) -> Sequence[Declaration]:
    """The interests that an instance has declared, in ascending order."""
    found: list[Declared] = []
    while len(found) % PAGE == 0:
        async with database.read() as connection:
            more = await declared.page(connection, instance.number, offset=len(found), limit=PAGE)
        found += more
        if not more:
            break
    return [
        Declaration(each.name, each.description, each.created_at, each.changed_at) for each in found
    ]


def _platform_of(device: Device) -> Platform | None:
    """What kind of app a device is; None if its gateway says as much."""
    is_usual = device.platform is USUAL_PLATFORM[gateway_of(device.address)]
    return None if is_usual else device.platform


def _key_of(address: object, keys: Mapping[VapidKeyNumber, str]) -> str | None:
    if not isinstance(address, WebAddress):
        return None
    return keys[max(keys) if address.vapid_key is None else address.vapid_key]
