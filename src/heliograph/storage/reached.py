"""
Queries on who was reached: what became of a watched publish, person by person.

Only of publishes to users of whose end somebody is to be told; afterwards it is forgotten.
"""

from collections.abc import Mapping

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import PublishNumber, UserId
from heliograph.storage.insertion import INSERTS
from heliograph.storage.tables import reached


async def note(
    connection: AsyncConnection, publish: PublishNumber, users: Mapping[UserId, bool]
) -> None:
    """Note of some people whether a gateway took a publish for them; once taken, it stays so."""
    if not users:
        return
    insert = INSERTS[connection.dialect.name](reached)
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["publish_number", "user_id"],
            set_={"is_sent": or_(reached.c.is_sent, insert.excluded.is_sent)},
        ),
        [
            {"publish_number": publish, "user_id": user, "is_sent": users[user]}
            for user in sorted(users)  # so that no two transactions wait for each other
        ],
    )


async def of_publish(connection: AsyncConnection, publish: PublishNumber) -> Mapping[UserId, bool]:
    """Of each person who has a device that was sent to, or tried: whether it was taken."""
    query = select(reached.c.user_id, reached.c.is_sent).where(reached.c.publish_number == publish)
    return {UserId(user): bool(is_sent) for user, is_sent in await connection.execute(query)}


async def forget(connection: AsyncConnection, publish: PublishNumber) -> None:
    """Forget all of that."""
    await connection.execute(delete(reached).where(reached.c.publish_number == publish))
