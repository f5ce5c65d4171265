"""
Idempotency keys of publishes, and publishes that are cancelled.

Revision: 0003
Follows: 0002
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "idempotency_keys",
        sa.Column("number", _SERIAL, nullable=False),
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(), nullable=False),
        sa.Column("publish_id", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_idempotency_keys_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_idempotency_keys")),
        sa.UniqueConstraint(
            "instance_number", "key", name=op.f("uq_idempotency_keys_instance_number_key")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_idempotency_keys_made_at"), "idempotency_keys", ["made_at"])
    # In place, without Alembic's batches: see 0002.
    op.add_column("publishes", sa.Column("cancelled_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Go back: keys are forgotten, and that a publish was cancelled; its counts stay."""
    op.drop_column("publishes", "cancelled_at")
    op.drop_table("idempotency_keys")
