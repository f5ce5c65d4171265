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
               ├─ devices ────┼─ interests
               │              └─ suspicions    of devices that may be dead
               ├─ declared_interests           those that an instance has a description of
               ├─ dialect_settings             what a dialect keeps of an instance
               ├─ watches                      how much was pruned lately, by lane
               ├─ idempotency_keys
               ├─ lanes                        those that are paused
               ├─ webhooks ──┐                 who wants to be told of what
               └─ publishes ─┼─ calls ── call_attempts   what they are told, and how that went
                             ├─ work           what is still to do, leased
                             ├─ outcomes       what was done, one row a batch
                             ├─ requests       what was asked for, where it is told back
                             ├─ receipts       what devices say: delivered, opened
                             ├─ reached        the people of a publish, until somebody is told
                             └─ own_hooks      whom one publish alone tells

Four stand by themselves. Processes share what they must not have twice: *provider_tokens*,
*workers* and *fcm_projects*; *required_revisions* tells an old program that it is too old.
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
    text,
)

from heliograph.model import Gateway
from heliograph.storage.columns import (
    Identity,
    Instant,
    Json,
    Milliseconds,
    Numbers,
    Serial,
    Sortable,
)

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
    # What Apple knows the instance's web site by, which is another than its apps.
    Column("website_credentials", LargeBinary),
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
    Column("id", Identity, nullable=False),
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
    # Since when its gateway says that it is gone, if it said so.
    Column("gone_since", Instant),
    # Whether it was only suspected, too often; None means no.
    Column("is_quarantined", Boolean),
    # What its own app calls it; None where that is left to us.
    Column("name", Sortable),
    # What kind of app it is, where it said so.
    Column("platform", Text),
    UniqueConstraint("instance_number", "id"),
    UniqueConstraint("instance_number", "address_digest"),
    # Nothing is paid for those that have none.
    Index(
        None,
        "instance_number",
        "name",
        unique=True,
        sqlite_where=text("name IS NOT NULL"),
        postgresql_where=text("name IS NOT NULL"),
    ),
    # Everybody, in the order of their numbers.
    Index(None, "instance_number", "number"),
    sqlite_autoincrement=True,
)

# Devices whose address was refused in a way that a wrong setting would explain as well.
# One that was sent to, or registers again, is above suspicion.
suspicions = Table(
    "suspicions",
    metadata,
    Column("device_number", ForeignKey("devices.number", ondelete="CASCADE"), primary_key=True),
    Column("refusals", Integer, nullable=False),
    Column("since", Instant, nullable=False),
    # The last publish that was counted: each counts once, however often it was tried.
    Column("publish_number", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

# What would have been pruned of each lane lately, so that a wrong setting cannot empty it.
watches = Table(
    "watches",
    metadata,
    Column(
        "instance_number",
        ForeignKey("instances.number", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("gateway", Text, primary_key=True),
    # Empty where the lane has none: a key's columns are never NULL.
    Column("environment", Text, primary_key=True),
    Column("began_at", Instant, nullable=False),
    Column("attempted", BigInteger, nullable=False),
    Column("doomed", BigInteger, nullable=False),
    Column("stopped_at", Instant),
    Column("trusted_until", Instant),
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

# Interests that an instance has said something about; devices may have others.
declared_interests = Table(
    "declared_interests",
    metadata,
    Column(
        "instance_number",
        ForeignKey("instances.number", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("name", Sortable, primary_key=True),
    Column("description", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

# What a dialect knows of an instance and nobody else needs; sealed.
dialect_settings = Table(
    "dialect_settings",
    metadata,
    Column(
        "instance_number",
        ForeignKey("instances.number", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("dialect", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

publishes = Table(
    "publishes",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("id", Identity, nullable=False, unique=True),
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
    # Of those sent, how many through each gateway; and how many devices said what of it.
    *[
        Column(f"{gateway}_{count}", Integer, nullable=False, server_default="0")
        for count in ("sent", "delivered", "opened")
        for gateway in Gateway
    ],
    # Whether somebody is to be told when it is over; None means no.
    Column("is_watched", Boolean),
    Index(None, "instance_number", "number"),
    Index(None, "instance_number", "accepted_at"),
    sqlite_autoincrement=True,
)

# What a caller asked for, in its own words, where its dialect tells it back under a short name.
requests = Table(
    "requests",
    metadata,
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE"), primary_key=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("instance_number", "name"),
    Index(None, "instance_number", "publish_number"),
)

# What devices say of a publish, each once, however often they say it.
receipts = Table(
    "receipts",
    metadata,
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE"), primary_key=True),
    # Not a foreign key: what it said stays true when the device is gone.
    Column("device_number", BigInteger, primary_key=True, autoincrement=False),
    # Who was logged in on it, if the device and we agree on that.
    Column("user_id", Text),
    Column("delivered_at", Instant),
    Column("opened_at", Instant),
    sqlite_with_rowid=False,
)

# The people of a watched publish of whom we know what became of it; gone when it is over.
reached = Table(
    "reached",
    metadata,
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, primary_key=True),
    # Whether a gateway took it for one of their devices.
    Column("is_sent", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# Where an instance wants to be told of things; address and secret are sealed.
webhooks = Table(
    "webhooks",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    # Whose form its calls have, and of what it is told: subjects, with commas between them.
    Column("dialect", Text, nullable=False),
    Column("subjects", Text, nullable=False),
    Column("url", LargeBinary, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    # What its owner wants to find in each call.
    Column("custom_data", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "instance_number", "number"),
    sqlite_autoincrement=True,
)

# Where one publish is told of, and of no other; address and request are sealed.
own_hooks = Table(
    "own_hooks",
    metadata,
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE"), primary_key=True),
    Column("dialect", Text, nullable=False),
    Column("url", LargeBinary, nullable=False),
    # The caller's request, which is told back.
    Column("request", LargeBinary, nullable=False),
)

# A notice to a webhook, or to a publish's own hook, and whether it has arrived.
calls = Table(
    "calls",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("id", Identity, nullable=False, unique=True),
    Column("instance_number", ForeignKey("instances.number", ondelete="CASCADE"), nullable=False),
    # None: it is about a device, and of no publish.
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE")),
    # None: the publish's own hook.
    Column("webhook_number", ForeignKey("webhooks.number", ondelete="CASCADE")),
    Column("notice", LargeBinary, nullable=False),
    # What all calls about one event have in common.
    Column("event_id", Text, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("ended_at", Instant),
    Index(None, "instance_number", "number"),
    Index(None, "publish_number"),
    Index(None, "webhook_number", "state", "number"),
    Index(None, "state", "ended_at"),
    sqlite_autoincrement=True,
)

call_attempts = Table(
    "call_attempts",
    metadata,
    Column("number", Serial, primary_key=True),
    Column("call_number", ForeignKey("calls.number", ondelete="CASCADE"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("took_ms", Integer, nullable=False),
    # None: no answer came, and the problem says why.
    Column("status", Integer),
    Column("problem", Text),
    Index(None, "call_number", "number"),
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
    # None: a call that is about a device.
    Column("publish_number", ForeignKey("publishes.number", ondelete="CASCADE")),
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
    # The call that is to be made; None for expansions and batches. Not a foreign key: the two
    # go away together, and to look for it here would take an index that each delivery pays.
    Column("call_number", BigInteger),
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
    # each, or one for all: S sent, F failed, X expired, C cancelled, R to be tried again.
    Column("devices", Numbers, nullable=False),
    Column("first_device", BigInteger, nullable=False),
    Column("last_device", BigInteger, nullable=False),
    Column("ends", Text, nullable=False),
    # Why, for each device that was not sent: {"<device number>": "<reason>"},
    # or {"*": "<reason>"} for all of them.
    Column("reasons", Json),
    # How long each device's answer took; None in rows of the releases that did not ask.
    Column("took", Milliseconds),
    # The HTTP status of each answer that was not its gateway's usual one for "taken":
    # {"<device number>": <status>}.
    Column("statuses", Json),
    Index(None, "publish_number", "first_device"),
    sqlite_autoincrement=True,
)

# What proves to a push service who we are, sealed; one for each key, known by a digest.
provider_tokens = Table(
    "provider_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("token", LargeBinary, nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Index(None, "expires_at"),
)

# The processes that deliver. One that does not show itself any more is dead.
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

# How fast each Google project was sent to at last: the percentage of its ramp that was climbed.
fcm_projects = Table(
    "fcm_projects",
    metadata,
    Column("project", Text, primary_key=True),
    Column("warmth", Integer, nullable=False),
    Column("used_at", Instant, nullable=False),
)

# Migrations that a program must know of to work in this database.
required_revisions = Table(
    "required_revisions",
    metadata,
    Column("revision", Text, primary_key=True),
)
