"""Instances: secrets shown once and sealed at rest, keys that rotate, credentials that work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy.ext.asyncio import AsyncConnection

from builders import (
    NOW,
    SECOND,
    Clock,
    add_device,
    add_publish,
    apns_certificate,
    apns_credentials,
    apple_key,
    database_in,
    fcm_credentials,
    migrated_in,
    randomness,
    rows_of,
    sandbox_credentials,
    web_address,
    workshop_in,
)
from heliograph.errors import InvalidInput
from heliograph.instances import Change, Instance, Instances, VapidKeyUse
from heliograph.model import (
    ApnsCertificate,
    FcmCredentials,
    InstanceId,
    InstanceNumber,
    VapidKeyNumber,
    VapidKeys,
    WebAddress,
)
from heliograph.registry import Registry
from heliograph.storage import tables, vapid_keys
from heliograph.storage.database import Database
from heliograph.wire import vapid
from heliograph.wire.seal import Seal
from heliograph.writes import Writes

NOBODY = InstanceId("00000000-0000-4000-8000-000000000000")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with database_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


def instances_of(
    database: Database, clock: Clock, *, key: str = "a-master-key", seed: int = 0
) -> Instances:
    return Instances(database, Seal(key), clock=clock, randomness=randomness(seed))


@pytest.fixture
def instances(database: Database, clock: Clock) -> Instances:
    return instances_of(database, clock)


async def found(instances: Instances, instance: Instance) -> Instance:
    read = await instances.find(instance.id)
    assert read is not None
    return read


# --- making --------------------------------------------------------------------------


async def test_a_new_instance_has_fresh_secrets(instances: Instances) -> None:
    """Its secrets are its own, of Beams' form, and its VAPID keys are a pair."""
    one, other = await instances.create("one"), await instances.create("other")

    secrets = {*one.secret_keys, one.client_secret, one.app_secret}
    others = {*other.secret_keys, other.client_secret, other.app_secret}
    assert (3, set()) == (len(secrets), secrets & others)
    assert ({64}, True) == ({len(key) for key in one.secret_keys}, one.secret_keys[0].isupper())
    assert (one.vapid, False) == (vapid.key_pair(one.vapid.private_key), one.vapid == other.vapid)


async def test_an_instance_is_read_as_it_was_made(database: Database, instances: Instances) -> None:
    """Whoever has the master key reads back every secret, from another process too."""
    made = await instances.create("a name")
    elsewhere = instances_of(database, Clock())

    assert [made] * 3 == [
        await elsewhere.find(made.id.upper()),
        await instances_of(database, Clock()).find_numbered(made.number),
        *await elsewhere.every(),
    ]


@pytest.mark.parametrize("text", [NOBODY, "", "nonsense", "x" * 36, "\x00", "é"])
async def test_an_instance_that_is_not_there_is_none(instances: Instances, text: str) -> None:
    """Any text may stand where an id should; what is not there is None."""
    await instances.create("one")

    assert (None, None) == (
        await instances.find(text),
        await instances.find_numbered(InstanceNumber(99)),
    )


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb", "\x00", "\ud800"], ids=ascii)
async def test_a_name_is_something_to_read(instances: Instances, name: str) -> None:
    """A name that nobody could read in a list is refused, when made and when changed."""
    made = await instances.create("é 用户 " + "x" * 190)

    with pytest.raises(InvalidInput, match="name"):
        await instances.create(name)
    with pytest.raises(InvalidInput, match="name"):
        await instances.change(made.id, name=name)


def test_what_is_printed_holds_no_secret() -> None:
    """An instance in a traceback shows who it is, and nothing that opens anything."""
    secret = "do-not-show-this"
    instance = Instance(
        number=InstanceNumber(1),
        id=NOBODY,
        name="one",
        created_at=NOW,
        secret_keys=(secret,),
        client_secret=secret,
        app_secret=secret,
        vapid_keys={VapidKeyNumber(1): VapidKeys(secret.encode(), b"public")},
        apns=apns_credentials(key=secret),
        fcm=fcm_credentials(private_key=secret),
        verify_client_secret=True,
    )

    assert (True, False) == ("one" in repr(instance), secret in repr(instance))


# --- at rest -------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
async def test_nothing_secret_is_in_the_files(tmp_path: Path, instances: Instances) -> None:
    """The bytes of the database, its log included, hold no secret, key or credential."""
    made = await instances.create("one")
    await instances.rotate_key(made.id)
    await instances.set_apns(made.id, apns_credentials())
    await instances.set_fcm(made.id, fcm_credentials())
    now = await found(instances, made)

    written = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))

    private_keys = (apple_key(), sandbox_credentials().google_key_pem)
    secrets = [
        *(key.encode() for key in (*made.secret_keys, *now.secret_keys)),
        made.client_secret.encode(),
        made.app_secret.encode(),
        made.vapid.private_key,
        *(line.encode() for key in private_keys for line in key.splitlines()[1:-1]),
        b"ABC123DEFG",
        b"push@tests.example.com",
    ]
    assert (True, []) == (b"one" in written, [each for each in secrets if each in written])


async def test_another_master_key_opens_nothing(
    database: Database, clock: Clock, instances: Instances
) -> None:
    """With the wrong key an instance cannot be read, rather than read wrongly."""
    made = await instances.create("one")
    stranger = instances_of(database, clock, key="another-master-key")

    with pytest.raises(ValueError, match="wrong master key"):
        await stranger.find(made.id)
    with pytest.raises(ValueError, match="wrong master key"):
        await stranger.every()


async def test_a_sealed_value_opens_in_its_own_place_only(
    database: Database, clock: Clock, instances: Instances
) -> None:
    """One instance's secret, copied to another's row, does not open there."""
    one, other = await instances.create("one"), await instances.create("other")
    async with database.write() as connection:
        rows = await connection.execute(tables.instances.select())
        sealed = {row.id: row.secret_key for row in rows}
        await connection.execute(
            tables.instances.update()
            .where(tables.instances.c.id == other.id)
            .values(secret_key=sealed[one.id])
        )

    with pytest.raises(ValueError, match="moved or altered"):
        await instances_of(database, clock).find(other.id)


# --- keys ----------------------------------------------------------------------------


async def test_two_keys_are_live_while_one_is_rolled_out(instances: Instances) -> None:
    """The new key comes first, the one before it still holds, older ones do not."""
    made = await instances.create("one")
    (first,) = made.secret_keys

    second = await instances.rotate_key(made.id)
    after_one = await found(instances, made)
    third = await instances.rotate_key(made.id)
    after_two = await found(instances, made)

    assert ((second, first), (third, second), 3) == (
        after_one.secret_keys,
        after_two.secret_keys,
        len({first, second, third}),
    )


# --- VAPID keys ----------------------------------------------------------------------


_browsers = randomness(1)


async def subscribe(database: Database, instance: Instance) -> WebAddress:
    """A browser that registers; its address as it is kept."""
    writes = Writes(database, clock=Clock(), randomness=_browsers)
    registry = Registry(writes, max_devices_per_user=100)
    registration = await registry.register(instance.number, web_address(), {})
    device = await registry.find(instance.number, registration.id)
    assert device is not None
    assert isinstance(device.address, WebAddress)
    return device.address


async def test_a_rotated_key_overlaps_the_one_before(
    database: Database, instances: Instances
) -> None:
    """Each browser is reached with the pair it subscribed with; new ones get the new pair."""
    made = await instances.create("one")
    before = await subscribe(database, made)
    pair = await instances.rotate_vapid(made.id)
    now = await found(instances, made)
    after = await subscribe(database, made)

    assert (pair, pair, made.vapid) == (now.vapid, now.vapid_of(after), now.vapid_of(before))
    assert [made.vapid, pair] == list(now.vapid_keys.values())
    assert now.vapid == vapid.key_pair(now.vapid.private_key)


async def test_a_key_from_the_first_release_opens(database: Database, instances: Instances) -> None:
    """What was sealed when each instance had one pair, in a column, is read from the table."""
    made = await instances.create("one")
    pair = vapid.key_pair(bytes(31) + b"\x09")
    context = f"instances/{made.id}/vapid_private_key"
    sealed = Seal("a-master-key").seal(pair.private_key, context=context, nonce=bytes(12))
    async with database.write() as connection:
        await vapid_keys.add(
            connection, made.number, public_key=pair.public_key, private_key=sealed, now=NOW
        )

    assert pair == (await found(instances, made)).vapid


async def test_an_address_without_a_key_means_the_current_one(instances: Instances) -> None:
    """A pair that another process made a moment ago is not known yet, and not guessed."""
    made = await instances.create("one")

    assert (made.vapid, None) == (
        made.vapid_of(web_address()),
        made.vapid_of(web_address(vapid_key=VapidKeyNumber(99))),
    )


async def test_an_overlap_can_be_watched(
    database: Database, clock: Clock, instances: Instances
) -> None:
    """Each pair tells how many living browsers it reaches, the current one first."""
    made = await instances.create("one")
    await subscribe(database, made)
    clock.advance(SECOND)
    pair = await instances.rotate_vapid(made.id)
    assert pair is not None

    assert [
        VapidKeyUse(pair.public_key, NOW + SECOND, devices=0, is_current=True),
        VapidKeyUse(made.vapid.public_key, NOW, devices=1, is_current=False),
    ] == await instances.vapid_use(made.number)


async def test_a_key_that_nobody_needs_goes_with_the_next_rotation(
    database: Database, instances: Instances
) -> None:
    """Pairs do not pile up: those between the first, which is in use, and the newest are gone."""
    made = await instances.create("one")
    await subscribe(database, made)
    await instances.rotate_vapid(made.id)
    pair = await instances.rotate_vapid(made.id)

    now = await found(instances, made)

    assert [made.vapid, pair] == list(now.vapid_keys.values())


# --- changes -------------------------------------------------------------------------


async def test_only_what_is_given_changes(instances: Instances) -> None:
    """A name and a switch can be changed apart or together; all else stays."""
    made = await instances.create("one")
    await instances.change(made.id, name="two")
    renamed = await found(instances, made)
    await instances.change(made.id, verify_client_secret=False)
    switched = await found(instances, made)
    untouched = await instances.change(made.id)

    assert (("two", True), ("two", False), True, made.secret_keys) == (
        (renamed.name, renamed.verify_client_secret),
        (switched.name, switched.verify_client_secret),
        untouched,
        switched.secret_keys,
    )


async def test_credentials_come_back_as_they_were_given(instances: Instances) -> None:
    """Both kinds are kept complete, and can be taken away again one by one."""
    made = await instances.create("one")
    apns = apns_credentials(
        endpoint="https://127.0.0.1:8443",
        sandbox_endpoint="https://127.0.0.1:8444",
        topic="com.example.other",
    )
    fcm = FcmCredentials(fcm_credentials().service_account, endpoint="http://localhost:1/base")
    await instances.set_apns(made.id, apns)
    await instances.set_fcm(made.id, fcm)
    given = await found(instances, made)
    await instances.remove_credentials(made.id, apns=True)
    without_apns = await found(instances, made)
    await instances.remove_credentials(made.id, apns=False)
    without = await found(instances, made)

    assert [(None, None), (apns, fcm), (None, fcm), (None, None)] == [
        (each.apns, each.fcm) for each in (made, given, without_apns, without)
    ]


async def test_what_is_set_up_together_is_one_commit(instances: Instances) -> None:
    """A document that cannot be changed so leaves the credentials beside it as they were."""
    made = await instances.create("one")

    def refuses(before: bytes | None) -> bytes | None:
        raise LookupError(before)

    with pytest.raises(LookupError):
        await instances.set_up(
            made.id, documents={"a": refuses}, credentials={"apns": apns_credentials()}
        )
    refused = await found(instances, made)
    await instances.set_up(
        made.id,
        documents={"a": lambda _: b"one", "b": lambda _: b"two"},
        credentials={"apns": apns_credentials(), "website": apns_credentials()},
    )
    kept = await found(instances, made)
    await instances.set_up(made.id, documents={"a": lambda _: None}, credentials={"website": None})
    less = await found(instances, made)

    assert (None, {}) == (refused.apns, refused.documents)
    assert (apns_credentials(), apns_credentials()) == (kept.apns, kept.website)
    assert {"a": b"one", "b": b"two"} == kept.documents
    assert (apns_credentials(), None, {"b": b"two"}) == (less.apns, less.website, less.documents)


async def test_no_change_of_a_document_is_lost(either_database: Database, clock: Clock) -> None:
    """Several processes change it at once, some of them with credentials beside it."""
    processes = [instances_of(either_database, clock, seed=seed) for seed in range(2)]
    made = await processes[0].create("one")

    def adds(letter: str) -> Change:
        return lambda before: (before or b"") + letter.encode()

    await asyncio.gather(
        *[
            processes[number % 2].set_up(
                made.id,
                documents={"a": adds(letter)},
                credentials={"apns": apns_credentials()} if number % 3 else {},
            )
            for number, letter in enumerate("abcdefgh")
        ]
    )

    assert set(b"abcdefgh") == set((await found(processes[0], made)).documents["a"])


async def test_an_instance_is_found_by_its_app_secret(instances: Instances) -> None:
    """Also one that is new; after it is gone nobody is."""
    made, other = await instances.create("one"), await instances.create("other")

    known = await instances.of_app_secret(other.app_secret)
    nobody = await instances.of_app_secret(made.client_secret)
    await instances.delete(other.id)
    gone = await instances.of_app_secret(other.app_secret)

    assert (other.id, None, None) == (known and known.id, nobody, gone)


def p384_key() -> str:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ec.derive_private_key(7, ec.SECP384R1()).private_bytes(*form).decode()


BAD_URLS = ["", "example.com", "ftp://example.com", "https://", "https://é.example.com"]
BAD_URLS += ["https://example.com:port", "https://example.com:0", "https://a b", "https://a/\n"]


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"key": ""}, "key"),
        ({"key": "not a key"}, "key"),
        ({"key": p384_key()}, "key"),
        ({"key_id": ""}, "key_id"),
        ({"team_id": "DEF 123"}, "team_id"),
        ({"topic": "com.exämple"}, "topic"),
        ({"topic": "a\nb"}, "topic"),
        ({"ca": "not a certificate"}, "ca"),
        *(({"endpoint": url}, "endpoint") for url in BAD_URLS),
        ({"sandbox_endpoint": "example.com"}, "sandbox_endpoint"),
    ],
    ids=lambda value: ascii(value)[:60],
)
async def test_apns_credentials_that_cannot_work_are_refused(
    instances: Instances, changes: dict[str, Any], field: str
) -> None:
    """What Apple would refuse at every push is refused when it is set, by the field's name."""
    made = await instances.create("one")

    with pytest.raises(InvalidInput) as caught:
        await instances.set_apns(made.id, apns_credentials(**changes))
    assert (field, None) == (caught.value.field, (await found(instances, made)).apns)


async def test_a_certificate_comes_back_as_it_was_given(instances: Instances) -> None:
    """It takes the place of a signing key, and a signing key takes its place."""
    made = await instances.create("one")
    certificate = replace(apns_certificate(), sandbox_endpoint="https://localhost:1")
    kept = []
    for each in (apns_credentials(), certificate, apns_credentials(key_id="NEWER")):
        await instances.set_apns(made.id, each)
        kept.append((await found(instances, made)).apns)

    assert [apns_credentials(), certificate, apns_credentials(key_id="NEWER")] == kept


async def test_a_certificates_key_is_not_in_the_files(
    tmp_path: Path, database: Database, instances: Instances
) -> None:
    """It is sealed like every other secret."""
    made = await instances.create("one")
    certificate = apns_certificate()
    await instances.set_apns(made.id, certificate)
    await database.close()

    written = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))

    lines = certificate.key.splitlines()[1:-1]
    assert [] == [line for line in lines if line.encode() in written]


@pytest.mark.parametrize(
    "certificate, problem",
    [
        (replace(apns_certificate(), certificate="x"), "certificate: this is not a certificate"),
        (replace(apns_certificate(), key="x"), "key: this is not a private key"),
        (replace(apns_certificate(), key=apns_certificate().key), "key: the key does not belong"),
        (replace(apns_certificate(), topic="com.other"), "topic: the certificate is for com.exa"),
        (replace(apns_certificate(), topic=""), "topic: must be a non-empty ASCII word"),
        (replace(apns_certificate(), ca="x"), "ca: must be certificates in PEM"),
        (replace(apns_certificate(), endpoint="x"), "endpoint: must be an"),
        (replace(apns_certificate(), sandbox_endpoint="x"), "sandbox_endpoint: must be an"),
        (
            apns_certificate(valid=(NOW - timedelta(days=365), NOW)),
            "certificate: expired on 2026-01-02",
        ),
        (
            apns_certificate(valid=(NOW + timedelta(days=1), NOW + timedelta(days=9))),
            "certificate: is not valid before 2026-01-03",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_certificate_that_cannot_work_is_refused(
    instances: Instances, certificate: ApnsCertificate, problem: str
) -> None:
    """What Apple would refuse at every push is refused when it is set, by the field's name."""
    made = await instances.create("one")

    with pytest.raises(InvalidInput, match=f"^{problem}"):
        await instances.set_apns(made.id, certificate)
    assert None is (await found(instances, made)).apns


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"private_key": "not a key"}, "private_key"),
        ({"private_key": apple_key()}, "private_key"),
        ({"project_id": ""}, "project_id"),
        ({"client_email": ""}, "client_email"),
        ({"private_key_id": "a b"}, "private_key_id"),
        *(({"token_uri": url}, "token_uri") for url in BAD_URLS),
    ],
    ids=lambda value: ascii(value)[:60],
)
async def test_fcm_credentials_that_cannot_work_are_refused(
    instances: Instances, changes: dict[str, Any], field: str
) -> None:
    """What Google would refuse at every push is refused when it is set, by the field's name."""
    made = await instances.create("one")

    with pytest.raises(InvalidInput) as caught:
        await instances.set_fcm(made.id, fcm_credentials(**changes))
    assert (f"service_account.{field}", None) == (
        caught.value.field,
        (await found(instances, made)).fcm,
    )


async def test_a_refusal_does_not_repeat_the_key(instances: Instances) -> None:
    """What was given as a key may be one, of another kind; the message holds nothing of it."""
    made = await instances.create("one")

    with pytest.raises(InvalidInput) as caught:
        await instances.set_apns(made.id, apns_credentials(key=p384_key()))
    assert [] == [line for line in p384_key().splitlines()[1:-1] if line in str(caught.value)]


async def test_of_an_instance_that_is_not_there_nothing_is_done(instances: Instances) -> None:
    """Not found is an answer, for every verb."""
    assert [None, None, False, False, False, False, False, False, False] == [
        await instances.rotate_key(NOBODY),
        await instances.rotate_vapid(NOBODY),
        await instances.change(NOBODY, name="x"),
        await instances.change(NOBODY),
        await instances.set_apns(NOBODY, apns_credentials()),
        await instances.set_fcm(NOBODY, fcm_credentials()),
        await instances.remove_credentials(NOBODY, apns=True),
        await instances.set_up(NOBODY, documents={"a": lambda _: b""}),
        await instances.delete(NOBODY),
    ]


async def test_an_instance_goes_with_all_it_owns(database: Database, instances: Instances) -> None:
    """Of a deleted instance nothing is left, and it is not found any more, at once."""
    made, other = await instances.create("one"), await instances.create("other")
    async with database.write() as connection:
        await add_device(connection, made.number, user="alice", subscribed=["news"])
        await add_publish(connection, made.number)
    await instances.find(made.id)

    deleted = await instances.delete(made.id)

    left = {table: await rows_of(database, table) for table in tables.metadata.tables}
    assert (True, None, None, [other]) == (
        deleted,
        await instances.find(made.id),
        await instances.find_numbered(made.number),
        await instances.every(),
    )
    assert {**dict.fromkeys(left, 0), "instances": 1, "vapid_keys": 1} == left


# --- what is remembered --------------------------------------------------------------


async def test_another_processs_change_is_seen_after_a_second(
    database: Database, clock: Clock, instances: Instances
) -> None:
    """An instance is remembered for a moment, and no longer."""
    made = await instances.create("one")
    elsewhere = instances_of(database, clock, seed=1)
    await instances.find(made.id)
    await elsewhere.change(made.id, name="two")
    clock.advance(timedelta(seconds=1) - timedelta(microseconds=1))
    before = (await found(instances, made), await instances.find_numbered(made.number))
    clock.advance(timedelta(microseconds=1))
    after = (await found(instances, made), await instances.find_numbered(made.number))

    assert [("one", "one"), ("two", "two")] == [
        tuple(each and each.name for each in pair) for pair in (before, after)
    ]


class Watched(Database):
    """Counts who looks."""

    reads = 0

    @asynccontextmanager
    async def read(self, *, long: bool = False) -> AsyncIterator[AsyncConnection]:
        self.reads += 1
        async with super().read(long=long) as connection:
            yield connection


async def test_when_two_seconds_are_over_one_looks_for_all(tmp_path: Path, clock: Clock) -> None:
    """Of many who ask at once, the first looks, and the others make do with what was known."""
    async with Watched.opened(await migrated_in(tmp_path)) as database:
        assert isinstance(database, Watched)
        instances = instances_of(database, clock)
        made = await instances.create("one")
        await instances.find(made.id)
        clock.advance(2 * SECOND)
        before = database.reads

        answers = await asyncio.gather(*[instances.find(made.id) for _ in range(10)])

        assert ([made] * 10, 1) == (answers, database.reads - before)


async def test_a_look_that_fails_is_no_news(database: Database, clock: Clock) -> None:
    """Whoever asks after it looks again, and is not answered from what was known."""
    instances = instances_of(database, clock)
    made = await instances.create("one")
    await instances.find(made.id)
    clock.advance(2 * SECOND)
    looking = asyncio.create_task(instances.find(made.id))
    await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await instances_of(database, clock, seed=1).change(made.id, name="two")

    assert "two" == (await found(instances, made)).name


async def test_ones_own_change_is_seen_at_once(instances: Instances) -> None:
    """Whoever changes an instance does not remember it as it was."""
    made = await instances.create("one")
    await instances.find(made.id)
    await instances.change(made.id, name="two")

    assert "two" == (await found(instances, made)).name


async def test_another_processs_deletion_is_seen(
    database: Database, clock: Clock, instances: Instances
) -> None:
    """A deleted instance is forgotten by everybody within a second."""
    made = await instances.create("one")
    await instances.find(made.id)
    await instances_of(database, clock).delete(made.id)
    clock.advance(timedelta(seconds=1))

    assert (None, None) == (
        await instances.find(made.id),
        await instances.find_numbered(made.number),
    )


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"identity": "no uuid"}, "id: must be a UUID"),
        ({"secret_key": "x" * 23}, "secret_key: must be 24 to 256"),
        ({"secret_key": "x" * 257}, "secret_key: must be 24 to 256"),
        ({"secret_key": "with spaces in the midst of it"}, "secret_key: must be"),
        ({"client_secret": "x" * 23}, "client_secret: must be 24 to 256"),
        ({"app_secret": "\u00e9" * 24}, "app_secret: must be 24 to 256 ASCII"),
    ],
)
async def test_what_an_instance_cannot_keep_is_refused(
    tmp_path: Path, changes: dict[str, str], field: str
) -> None:
    """Ids and keys that others know already are looked at, too; nothing is made."""
    async with workshop_in(tmp_path) as shop:
        with pytest.raises(InvalidInput, match=field):
            await shop.instances.create("Shop", **changes)

        assert [] == list(await shop.instances.every())


async def test_an_instance_keeps_what_others_know_of_it(tmp_path: Path) -> None:
    """Its secrets; and its id belongs to no second one, in whatever case it is written."""
    known = "1B880590-6301-4BB5-B34F-45DB1C5F5644"
    async with workshop_in(tmp_path) as shop:
        made = await shop.instances.create(
            "Shop",
            identity=known,
            secret_key="k" * 31,
            client_secret="c" * 36,
            app_secret="a" * 36,
        )

        with pytest.raises(InvalidInput, match="belongs to an instance"):
            await shop.instances.create("Other", identity=known.lower())

        assert (known.lower(), "k" * 31, "c" * 36, "a" * 36) == (
            made.id,
            made.secret_keys[0],
            made.client_secret,
            made.app_secret,
        )
