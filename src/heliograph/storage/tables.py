"""
The tables.

A row is found from outside by its *id* and joined inside by its *number*, an
ascending serial: inserts then always go to the end of an index. A number is never
given twice (SQLite would, without AUTOINCREMENT): a worker may still hold the number
of a batch or a device that is gone, and must not find another one under it. What is
secret is sealed before it arrives here (``wire/seal.py``).

::

    instances ─┬─ users ──────┐
               ├─ vapid_keys ─┤
               ├─ devices ────┴─ interests
               ├─ idempotency_keys
               ├─ lanes                     those that are paused
               └─ publishes ─┬─ work        what is still to do, leased
                             └─ outcomes    what was done, one row a batch
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from heliograph.storage.columns import Instant, Json, Numbers, Serial, Sortable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

instances = Table(
    "instances",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("secret_key", LargeBinary, nullable=False),
    Column("previous_secret_key", LargeBinary),
    Column("client_secret", LargeBinary, nullable=False),
    Column("app_secret", LargeBinary, nullable=False),
    Column("apns_credentials", LargeBinary),
    Column("fcm_credentials", LargeBinary),
    Column("verify_client_secret", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

# The newest pair of an instance is its current one; an older one stays as long as a device
# is bound to it.
vapid_keys = Table(
    "vapid_keys",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("private_key", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "instance_number", "number"),
    sqlite_autoincrement=True,
)

users = Table(
    "users",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("instance_number", "id"),
    sqlite_autoincrement=True,
)

devices = Table(
    "devices",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    Column("id", Text, nullable=False),
    Column("gateway", Text, nullable=False),
    Column("address_digest", LargeBinary, nullable=False),
    Column("token", Text, nullable=False),
    Column("topic", Text),
    Column("environment", Text),
    Column("p256dh", LargeBinary),
    Column("auth", LargeBinary),
    # The pair that a browser's subscription is bound to; None for other gateways.
    Column("vapid_key_number", ForeignKey("vapid_keys.number")),
    Column("metadata", Json, nullable=False),
    Column("user_number", ForeignKey("users.number", ondelete="SET NULL"), index=True),
    Column("created_at", Instant, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("pruned_at", Instant),
    Column("prune_reason", Text),
    UniqueConstraint("instance_number", "id"),
    UniqueConstraint("instance_number", "address_digest"),
    sqlite_autoincrement=True,
)

interests = Table(
    "interests",
    metadata,
    Column(
        "instance_number",
        ForeignKey("instances.number", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("name", Sortable, primary_key=True),
    Column("device_number", ForeignKey("devices.number", ondelete="CASCADE"), primary_key=True),
    Index(None, "device_number", "name"),
    sqlite_with_rowid=False,
)

publishes = Table(
    "publishes",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    Column("target", Json, nullable=False),
    Column("messages", LargeBinary, nullable=False),
    Column("accepted_at", Instant, nullable=False),
    Column("expanded_at", Instant),
    Column("cancelled_at", Instant),
    Column("targeted", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("expired", Integer, nullable=False),
    Column("cancelled", Integer, nullable=False),
    Index(None, "instance_number", "number"),
    sqlite_autoincrement=True,
)

# A caller's own name for a publish, under which it is made once.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("body_digest", LargeBinary, nullable=False),
    Column("publish_id", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    UniqueConstraint("instance_number", "key"),
    Index(None, "made_at"),
    sqlite_autoincrement=True,
)

work = Table(
    "work",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE"), nullable=False),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    # Which lane: None while the target has still to be expanded.
    Column("gateway", Text),
    Column("environment", Text),
    # How far expansion has come: every device up to this number has its batch.
    Column("expanded_to", BigInteger, nullable=False),
    Column("devices", Numbers, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("leased_until", Instant),
    # Who leases it: a name that a process makes up when it starts.
    Column("holder", Text),
    # Which hands take it, and in whose turn: ``lanes.key`` of its lane. The defaults are for
    # processes of the release before, which do not know these columns.
    Column("sort", Text, nullable=False, server_default="small"),
    Column("lane", BigInteger, nullable=False, server_default="0"),
    # From when on its message is worth nothing; None while the target is to be expanded.
    Column("expires_at", Instant),
    # How often it could not be done for a reason of our own.
    Column("failures", Integer, nullable=False, server_default="0"),
    Index(None, "publish_number"),
    Index(None, "due_at", "number"),
    Index(None, "sort", "lane", "due_at", "number"),
    sqlite_autoincrement=True,
)

# What is paused; a lane that is not in here goes on.
lanes = Table(
    "lanes",
    metadata,
    Column("lane", BigInteger, primary_key=True, autoincrement=False),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    Column("gateway", Text, nullable=False),
    Column("environment", Text),
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("paused_at", Instant, nullable=False),
    # When one message is to find out whether it goes on, and how often that has failed.
    Column("probe_at", Instant, nullable=False),
    Column("probes", Integer, nullable=False),
    Index(None, "instance_number"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE"), nullable=False),
    Column("gateway", Text, nullable=False),
    Column("environment", Text),
    Column("attempt", Integer, nullable=False),
    Column("settled_at", Instant, nullable=False),
    # The devices of the batch in ascending order, their range, and one letter for
    # each: S sent, F failed, X expired, C cancelled, R to be tried again.
    Column("devices", Numbers, nullable=False),
    Column("first_device", BigInteger, nullable=False),
    Column("last_device", BigInteger, nullable=False),
    Column("ends", Text, nullable=False),
    # Why, for each device that was not sent: {"<device number>": "<reason>"},
    # or {"*": "<reason>"} for all of them.
    Column("reasons", Json),
    Index(None, "publish_number", "first_device"),
    sqlite_autoincrement=True,
)
