"""Queries on what a dialect keeps of an instance; it comes and goes sealed."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import InstanceNumber
from heliograph.storage.insertion import INSERTS
from heliograph.storage.tables import dialect_settings


async def of_instance(connection: AsyncConnection, instance: InstanceNumber) -> dict[str, bytes]:
    """The document of each dialect that keeps one of this instance."""
    query = select(dialect_settings.c.dialect, dialect_settings.c.document)
    rows = await connection.execute(query.where(dialect_settings.c.instance_number == instance))
    return {row.dialect: row.document for row in rows}


async def put(
    connection: AsyncConnection, instance: InstanceNumber, dialect: str, document: bytes
) -> None:
    """Keep a document instead of the one before, if there is one."""
    insert = INSERTS[connection.dialect.name](dialect_settings)
    await connection.execute(
        insert.values(
            instance_number=instance, dialect=dialect, document=document
        ).on_conflict_do_update(
            index_elements=["instance_number", "dialect"], set_={"document": document}
        )
    )


async def remove(connection: AsyncConnection, instance: InstanceNumber, dialect: str) -> None:
    """Forget what a dialect keeps of an instance."""
    await connection.execute(
        delete(dialect_settings).where(
            dialect_settings.c.instance_number == instance,
            dialect_settings.c.dialect == dialect,
        )
    )
