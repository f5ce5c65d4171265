"""
VAPID keys that rotate: from two columns of an instance to a table of their own.

Every browser that is registered was subscribed with the one key of its instance, and
is bound to it. Private keys move as they are: sealed, in the name of their instance.

Revision: 0002
Follows: 0001
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "vapid_keys",
        sa.Column("number", _SERIAL, nullable=False),
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_vapid_keys_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_vapid_keys")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_vapid_keys_instance_number_number"), "vapid_keys", ["instance_number", "number"]
    )
    op.execute(
        "INSERT INTO vapid_keys (instance_number, public_key, private_key, created_at) "
        "SELECT number, vapid_public_key, vapid_private_key, created_at FROM instances "
        "ORDER BY number"
    )
    # Tables are altered in place, not made anew: in SQLite, dropping the old copy would
    # take along every row that refers to it.
    serial = _SERIAL.compile(dialect=op.get_bind().dialect)
    op.execute(
        f"ALTER TABLE devices ADD COLUMN vapid_key_number {serial} "
        "CONSTRAINT fk_devices_vapid_key_number REFERENCES vapid_keys (number)"
    )
    op.execute(
        "UPDATE devices SET vapid_key_number = (SELECT vapid_keys.number FROM vapid_keys "
        "WHERE vapid_keys.instance_number = devices.instance_number) WHERE gateway = 'web'"
    )
    op.drop_column("instances", "vapid_private_key")
    op.drop_column("instances", "vapid_public_key")


def downgrade() -> None:
    """Go back: every instance keeps its current key only."""
    for column in ("private_key", "public_key"):
        op.add_column(
            "instances",
            sa.Column(
                f"vapid_{column}", sa.LargeBinary(), nullable=False, server_default=sa.text("''")
            ),
        )
        op.execute(
            f"UPDATE instances SET vapid_{column} = (SELECT {column} FROM vapid_keys "  # noqa: S608  (both names stand above)
            "WHERE instance_number = instances.number ORDER BY number DESC LIMIT 1)"
        )
    op.drop_column("devices", "vapid_key_number")
    op.drop_table("vapid_keys")
