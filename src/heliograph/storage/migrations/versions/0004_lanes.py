"""
Lanes that are paused; work that is taken in turns, by sort, and whose holder is known.

Processes of the release before go on working beside this one: what they write gets the
defaults, which put it among the small ones and in no lane.

Revision: 0004
Follows: 0003
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_COLUMNS = ("holder", "sort", "lane", "expires_at", "failures")
_TURNS = ["sort", "lane", "due_at", "number"]


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "lanes",
        sa.Column("lane", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("gateway", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=False),
        sa.Column("probe_at", sa.BigInteger(), nullable=False),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_lanes_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_lanes")),
    )
    op.create_index(op.f("ix_lanes_instance_number"), "lanes", ["instance_number"])
    # In place, without Alembic's batches: see 0002.
    op.add_column("work", sa.Column("holder", sa.Text(), nullable=True))
    op.add_column("work", sa.Column("sort", sa.Text(), nullable=False, server_default="small"))
    op.add_column("work", sa.Column("lane", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("work", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.add_column("work", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE work SET sort = CASE WHEN attempt > 1 THEN 'again' ELSE 'small' END, "
        "lane = instance_number * 16 + CASE "
        "WHEN gateway = 'apns' AND environment IS NULL THEN 1 "
        "WHEN gateway = 'apns' AND environment = 'production' THEN 2 "
        "WHEN gateway = 'apns' THEN 3 "
        "WHEN gateway = 'fcm' THEN 4 "
        "WHEN gateway = 'web' THEN 5 ELSE 0 END"
    )
    op.create_index(op.f("ix_work_sort_lane_due_at_number"), "work", _TURNS)


def downgrade() -> None:
    """Go back: every lane goes on, and work is taken in the order of its numbers."""
    op.drop_index(op.f("ix_work_sort_lane_due_at_number"), "work")
    for column in reversed(_COLUMNS):
        op.drop_column("work", column)
    op.drop_table("lanes")
