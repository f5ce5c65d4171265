"""
What processes share: provider tokens, who works, how fast projects are sent to.

Revision: 0006
Follows: 0005
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.create_table(
        "provider_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_provider_tokens")),
    )
    op.create_index(op.f("ix_provider_tokens_expires_at"), "provider_tokens", ["expires_at"])
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_table(
        "fcm_projects",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("warmth", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", name=op.f("pk_fcm_projects")),
    )
    op.create_table(
        "required_revisions",
        sa.Column("revision", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_required_revisions")),
    )


def downgrade() -> None:
    """Go back: tokens are made anew, and projects are warmed up again."""
    for name in ("required_revisions", "fcm_projects", "workers", "provider_tokens"):
        op.drop_table(name)
