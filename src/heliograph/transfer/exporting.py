"""Moving out: an instance's living devices, in the order they were made, page by page."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from heliograph.instances import Instance
from heliograph.model import DeviceNumber, VapidKeyNumber, WebAddress
from heliograph.storage import movers
from heliograph.storage.database import Database
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


def _key_of(address: object, keys: Mapping[VapidKeyNumber, str]) -> str | None:
    if not isinstance(address, WebAddress):
        return None
    return keys[max(keys) if address.vapid_key is None else address.vapid_key]
