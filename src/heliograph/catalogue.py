"""
The catalogue: interests that an instance has declared, so that people can choose among them.

A device may have others; an interest is declared where a dialect asks for that first.
"""

from collections.abc import Collection, Sequence
from typing import Final

from heliograph.model import InstanceNumber, Interest
from heliograph.storage import declared, filters
from heliograph.storage.declared import Declared
from heliograph.storage.filters import Filter
from heliograph.storage.tables import declared_interests
from heliograph.writes import Writes

_COLUMNS: Final = {
    "name": declared_interests.c.name,
    "description": declared_interests.c.description,
}


class Catalogue:
    """The declared interests of one database. Every method is one transaction."""

    def __init__(self, writes: Writes) -> None:
        """Look at the database of those writes; nothing is read yet."""
        self._database = writes.database
        self._clock = writes.clock

    async def declare(
        self, instance: InstanceNumber, name: Interest, description: str
    ) -> Declared | None:
        """Declare an interest; None if it is declared already, which changes nothing."""
        now = self._clock()
        async with self._database.write() as connection:
            if not await declared.add(connection, instance, name, description, now=now):
                return None
        return Declared(name, description, now, now)

    async def find(self, instance: InstanceNumber, name: Interest) -> Declared | None:
        """A declared interest; None if it is not."""
        async with self._database.read() as connection:
            return await declared.find(connection, instance, name)

    async def describe(
        self, instance: InstanceNumber, name: Interest, description: str
    ) -> Declared | None:
        """Describe a declared interest anew; None if it is not declared."""
        now = self._clock()
        async with self._database.write() as connection:
            await declared.describe(connection, instance, name, description, now=now)
            return await declared.find(connection, instance, name)

    async def take_back(self, instance: InstanceNumber, name: Interest) -> bool:
        """Forget an interest with every subscription to it; False if it is not declared."""
        async with self._database.write(long=True) as connection:
            return await declared.remove(connection, instance, name)

    async def page(
        self, instance: InstanceNumber, wanted: Filter, *, offset: int, limit: int
    ) -> tuple[Sequence[Declared], int]:
        """
        Declared interests in the order of their names, and how many there are.

        The fields of ``wanted`` are ``name`` and ``description``.
        """
        async with self._database.read() as connection:
            conditions = filters.where(connection, wanted, _COLUMNS)
            rows = await declared.page(
                connection, instance, *conditions, offset=offset, limit=limit
            )
            return rows, await declared.count(connection, instance, *conditions)

    async def subscribers(
        self, instance: InstanceNumber, names: Collection[Interest]
    ) -> dict[Interest, int]:
        """How many devices subscribe to each of some interests."""
        async with self._database.read() as connection:
            return await declared.subscribers(connection, instance, names)
