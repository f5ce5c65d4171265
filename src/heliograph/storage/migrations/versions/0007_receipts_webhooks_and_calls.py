"""
What devices say of a publish, and who is told of what.

Revision: 0007
Follows: 0006
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_COUNTS = [
    f"{gateway}_{count}"
    for count in ("sent", "delivered", "opened")
    for gateway in ("apns", "fcm", "web")
]
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "webhooks",
        sa.Column("number", _SERIAL, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("subjects", sa.Text(), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("custom_data", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_webhooks_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_webhooks")),
        sa.UniqueConstraint("id", name=op.f("uq_webhooks_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_webhooks_instance_number_number"), "webhooks", ["instance_number", "number"]
    )
    op.create_table(
        "calls",
        sa.Column("number", _SERIAL, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("publish_number", _SERIAL, nullable=False),
        sa.Column("webhook_number", _SERIAL, nullable=True),
        sa.Column("notice", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_calls_instance_number"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["publish_number"],
            ["publishes.number"],
            name=op.f("fk_calls_publish_number"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["webhook_number"],
            ["webhooks.number"],
            name=op.f("fk_calls_webhook_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_calls")),
        sa.UniqueConstraint("id", name=op.f("uq_calls_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_calls_instance_number_number"), "calls", ["instance_number", "number"])
    op.create_index(op.f("ix_calls_publish_number"), "calls", ["publish_number"])
    op.create_index(op.f("ix_calls_state_ended_at"), "calls", ["state", "ended_at"])
    op.create_index(
        op.f("ix_calls_webhook_number_state_number"), "calls", ["webhook_number", "state", "number"]
    )
    op.create_table(
        "own_hooks",
        sa.Column("publish_number", _SERIAL, nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publish_number"],
            ["publishes.number"],
            name=op.f("fk_own_hooks_publish_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("publish_number", name=op.f("pk_own_hooks")),
    )
    op.create_table(
        "reached",
        sa.Column("publish_number", _SERIAL, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("is_sent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publish_number"],
            ["publishes.number"],
            name=op.f("fk_reached_publish_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("publish_number", "user_id", name=op.f("pk_reached")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "receipts",
        sa.Column("publish_number", _SERIAL, nullable=False),
        sa.Column("device_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["publish_number"],
            ["publishes.number"],
            name=op.f("fk_receipts_publish_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("publish_number", "device_number", name=op.f("pk_receipts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "call_attempts",
        sa.Column("number", _SERIAL, nullable=False),
        sa.Column("call_number", _SERIAL, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["call_number"],
            ["calls.number"],
            name=op.f("fk_call_attempts_call_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_call_attempts")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_call_attempts_call_number_number"), "call_attempts", ["call_number", "number"]
    )
    # In place, without Alembic's batches: see 0002.
    for name in _COUNTS:
        op.add_column(
            "publishes", sa.Column(name, sa.Integer(), server_default="0", nullable=False)
        )
    op.add_column("publishes", sa.Column("is_watched", sa.Boolean(), nullable=True))
    op.create_index(
        op.f("ix_publishes_instance_number_accepted_at"),
        "publishes",
        ["instance_number", "accepted_at"],
    )
    op.add_column("work", sa.Column("call_number", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Go back: what devices said is forgotten, and nobody is told of anything."""
    op.execute("DELETE FROM work WHERE call_number IS NOT NULL")
    op.drop_column("work", "call_number")
    op.drop_index(op.f("ix_publishes_instance_number_accepted_at"), "publishes")
    for name in ("is_watched", *_COUNTS):
        op.drop_column("publishes", name)
    for name in ("call_attempts", "receipts", "reached", "own_hooks", "calls", "webhooks"):
        op.drop_table(name)
