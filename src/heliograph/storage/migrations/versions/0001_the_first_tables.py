"""
The first tables.

Revision: 0001
Follows:
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "instances",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("secret_key", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret_key", sa.LargeBinary(), nullable=True),
        sa.Column("client_secret", sa.LargeBinary(), nullable=False),
        sa.Column("app_secret", sa.LargeBinary(), nullable=False),
        sa.Column("vapid_private_key", sa.LargeBinary(), nullable=False),
        sa.Column("vapid_public_key", sa.LargeBinary(), nullable=False),
        sa.Column("apns_credentials", sa.LargeBinary(), nullable=True),
        sa.Column("fcm_credentials", sa.LargeBinary(), nullable=True),
        sa.Column("verify_client_secret", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_instances")),
        sa.UniqueConstraint("id", name=op.f("uq_instances_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "publishes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column(
            "instance_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("messages", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("expanded_at", sa.BigInteger(), nullable=True),
        sa.Column("targeted", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("expired", sa.Integer(), nullable=False),
        sa.Column("cancelled", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_publishes_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_publishes")),
        sa.UniqueConstraint("id", name=op.f("uq_publishes_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("publishes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_publishes_instance_number_number"),
            ["instance_number", "number"],
            unique=False,
        )

    op.create_table(
        "users",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "instance_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_users_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_users")),
        sa.UniqueConstraint("instance_number", "id", name=op.f("uq_users_instance_number_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "devices",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "instance_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("address_digest", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("p256dh", sa.LargeBinary(), nullable=True),
        sa.Column("auth", sa.LargeBinary(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column(
            "user_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("pruned_at", sa.BigInteger(), nullable=True),
        sa.Column("prune_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_devices_instance_number"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_number"],
            ["users.number"],
            name=op.f("fk_devices_user_number"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_devices")),
        sa.UniqueConstraint(
            "instance_number",
            "address_digest",
            name=op.f("uq_devices_instance_number_address_digest"),
        ),
        sa.UniqueConstraint("instance_number", "id", name=op.f("uq_devices_instance_number_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_devices_user_number"), ["user_number"], unique=False)

    op.create_table(
        "outcomes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "publish_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.LargeBinary(), nullable=False),
        sa.Column("first_device", sa.BigInteger(), nullable=False),
        sa.Column("last_device", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.Text(), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["publish_number"],
            ["publishes.number"],
            name=op.f("fk_outcomes_publish_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_outcomes")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("outcomes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_outcomes_publish_number_first_device"),
            ["publish_number", "first_device"],
            unique=False,
        )

    op.create_table(
        "work",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "publish_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "instance_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("gateway", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("expanded_to", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.LargeBinary(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_work_instance_number"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["publish_number"],
            ["publishes.number"],
            name=op.f("fk_work_publish_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_work")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("work", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_work_due_at_number"), ["due_at", "number"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_work_publish_number"), ["publish_number"], unique=False
        )

    op.create_table(
        "interests",
        sa.Column(
            "instance_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        # In the order of its code points, as in SQLite, and not in that of some language.
        sa.Column(
            "name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False
        ),
        sa.Column(
            "device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["device_number"],
            ["devices.number"],
            name=op.f("fk_interests_device_number"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_interests_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "instance_number", "name", "device_number", name=op.f("pk_interests")
        ),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("interests", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_interests_device_number_name"), ["device_number", "name"], unique=False
        )


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("interests", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_interests_device_number_name"))

    op.drop_table("interests")
    with op.batch_alter_table("work", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_work_publish_number"))
        batch_op.drop_index(batch_op.f("ix_work_due_at_number"))

    op.drop_table("work")
    with op.batch_alter_table("outcomes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outcomes_publish_number_first_device"))

    op.drop_table("outcomes")
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_devices_user_number"))

    op.drop_table("devices")
    op.drop_table("users")
    with op.batch_alter_table("publishes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_publishes_instance_number_number"))

    op.drop_table("publishes")
    op.drop_table("instances")
