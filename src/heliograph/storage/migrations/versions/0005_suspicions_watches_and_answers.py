"""
Devices under suspicion, how much is pruned, and what gateways answered to each attempt.

Revision: 0005
Follows: 0004
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "suspicions",
        sa.Column("device_number", _SERIAL, nullable=False, autoincrement=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("publish_number", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_number"],
            ["devices.number"],
            name=op.f("fk_suspicions_device_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("device_number", name=op.f("pk_suspicions")),
    )
    op.create_table(
        "watches",
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("attempted", sa.BigInteger(), nullable=False),
        sa.Column("doomed", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.Column("trusted_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_watches_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "instance_number", "gateway", "environment", name=op.f("pk_watches")
        ),
    )
    # In place, without Alembic's batches: see 0002.
    op.add_column("devices", sa.Column("gone_since", sa.BigInteger(), nullable=True))
    op.add_column("devices", sa.Column("is_quarantined", sa.Boolean(), nullable=True))
    op.add_column("outcomes", sa.Column("took", sa.LargeBinary(), nullable=True))
    op.add_column("outcomes", sa.Column("statuses", sa.Text(), nullable=True))


def downgrade() -> None:
    """Go back: suspicions and watches are forgotten; who is quarantined stays pruned."""
    op.drop_column("outcomes", "statuses")
    op.drop_column("outcomes", "took")
    op.drop_column("devices", "is_quarantined")
    op.drop_column("devices", "gone_since")
    op.drop_table("watches")
    op.drop_table("suspicions")
