"""
What apps call their devices, declared interests, requests told back, and calls about devices.

Revision: 0008
Follows: 0007
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

narrows: str = (
    "Old programs give devices no names, so the new index forbids them nothing. A call about a "
    "device, which has no publish, they fail at and put down again, until one that knows of such "
    "calls takes it; there are none before a webhook asks for them, which takes the new program."
)

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_SORTABLE = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Go from the revision before to this one."""
    op.add_column("instances", sa.Column("website_credentials", sa.LargeBinary()))
    op.add_column("devices", sa.Column("name", _SORTABLE))
    op.add_column("devices", sa.Column("platform", sa.Text()))
    op.create_index(
        op.f("ix_devices_instance_number_name"),
        "devices",
        ["instance_number", "name"],
        unique=True,
        sqlite_where=sa.text("name IS NOT NULL"),
        postgresql_where=sa.text("name IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_devices_instance_number_number"), "devices", ["instance_number", "number"]
    )
    op.create_table(
        "declared_interests",
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("name", _SORTABLE, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_declared_interests_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("instance_number", "name", name=op.f("pk_declared_interests")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dialect_settings",
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_dialect_settings_instance_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("instance_number", "dialect", name=op.f("pk_dialect_settings")),
    )
    op.create_table(
        "requests",
        sa.Column("publish_number", _SERIAL, nullable=False),
        sa.Column("instance_number", _SERIAL, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_number"],
            ["instances.number"],
            name=op.f("fk_requests_instance_number"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["publish_number"],
            ["publishes.number"],
            name=op.f("fk_requests_publish_number"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("publish_number", name=op.f("pk_requests")),
        sa.UniqueConstraint(
            "instance_number", "name", name=op.f("uq_requests_instance_number_name")
        ),
    )
    op.create_index(
        op.f("ix_requests_instance_number_publish_number"),
        "requests",
        ["instance_number", "publish_number"],
    )
    for table in ("calls", "work"):
        _let_be_absent(table, "publish_number", may_be=True)


def downgrade() -> None:
    """Go back to the revision before: what it has no place for is lost."""
    for table in ("work", "calls"):
        op.execute(f"DELETE FROM {table} WHERE publish_number IS NULL")  # noqa: S608
        _let_be_absent(table, "publish_number", may_be=False)
    for table in ("requests", "dialect_settings", "declared_interests"):
        op.drop_table(table)
    op.drop_index(op.f("ix_devices_instance_number_number"), "devices")
    op.drop_index(op.f("ix_devices_instance_number_name"), "devices")
    for table, column in (
        ("devices", "platform"),
        ("devices", "name"),
        ("instances", "website_credentials"),
    ):
        op.drop_column(table, column)


def _let_be_absent(table: str, column: str, *, may_be: bool) -> None:
    """
    Take NOT NULL from a column, or give it back.

    SQLite knows no words for it. To copy the table, as is usual, would delete on the way what
    refers to it, and have numbers given a second time; so its definition is changed in place,
    which is allowed where rows look the same before and after
    (https://sqlite.org/lang_altertable.html#otheralter).
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.alter_column(table, column, nullable=may_be)
        return
    strict, lax = f"{column} INTEGER NOT NULL", f"{column} INTEGER"
    before, after = (strict, lax) if may_be else (lax, strict)
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    op.execute("PRAGMA writable_schema=ON")
    op.execute(
        f"UPDATE sqlite_schema SET sql = replace(sql, '{before}', '{after}') "  # noqa: S608
        f"WHERE type = 'table' AND name = '{table}'"
    )
    op.execute(f"PRAGMA schema_version={version + 1}")
    op.execute("PRAGMA writable_schema=OFF")
