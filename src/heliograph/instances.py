"""
Instances: who may publish to which devices, with what credentials.

Secrets are shown once, when they are made; at rest they are sealed, each bound to
its instance and its column.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph import auth
from heliograph.credentials import check
from heliograph.errors import InvalidInput
from heliograph.model import (
    ApnsCertificate,
    ApnsCredentials,
    ApnsIdentity,
    FcmCredentials,
    Gateway,
    InstanceId,
    InstanceNumber,
    VapidKeyNumber,
    VapidKeys,
    WebAddress,
    time_ordered_uuid,
)
from heliograph.notices import Subject
from heliograph.storage import dialect_settings, lanes, vapid_keys, webhooks
from heliograph.storage import instances as rows
from heliograph.storage.database import Database
from heliograph.storage.instances import InstanceRow
from heliograph.storage.lanes import Paused
from heliograph.wire import vapid
from heliograph.wire.seal import Seal

Randomness = Callable[[int], bytes]
"""So many unpredictable bytes; ``secrets.token_bytes`` in production."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

_REMEMBERED: Final = timedelta(seconds=1)
"""How long another process's change of an instance may go unnoticed."""

_VAPID_CONTEXT: Final = "vapid_private_key"
"""What VAPID keys are sealed as: the column in which they were kept at first."""

Credential = Literal["apns", "fcm", "website"]
"""What an instance is known by to Apple, to Google, and to Apple for its web site."""

Change = Callable[[bytes | None], bytes | None]
"""Makes a document of the one before; None: there is none. It may raise."""

_GATEWAYS: Final[Mapping[Credential, Gateway]] = {
    "apns": Gateway.APNS,
    "fcm": Gateway.FCM,
    "website": Gateway.APNS,
}
"""Whose lanes may go on with new ones."""

_LONGEST_NAME: Final = 200
_SHORTEST_KEY: Final = 24
_LONGEST_KEY: Final = 256


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance with its secrets open."""

    number: InstanceNumber
    id: InstanceId
    name: str
    created_at: datetime
    secret_keys: tuple[str, ...] = field(repr=False)
    """The current one first; a second one while the first is being rolled out."""
    client_secret: str = field(repr=False)
    app_secret: str = field(repr=False)
    vapid_keys: Mapping[VapidKeyNumber, VapidKeys] = field(repr=False, hash=False)
    """Every pair that a subscription may be bound to, oldest first; never empty."""
    apns: ApnsIdentity | None = field(repr=False)
    fcm: FcmCredentials | None = field(repr=False)
    verify_client_secret: bool
    website: ApnsIdentity | None = field(default=None, repr=False)
    """What Apple knows its web site by; None means by what it knows the apps by."""
    subjects: frozenset[Subject] = frozenset()
    """What its webhooks are told of, all of them together."""
    documents: Mapping[str, bytes] = field(default_factory=dict, repr=False, hash=False)
    """What each dialect keeps of it, in the dialect's own form."""

    @property
    def vapid(self) -> VapidKeys:
        """The current pair, with which browsers subscribe."""
        return self.vapid_keys[max(self.vapid_keys)]

    def vapid_of(self, address: WebAddress) -> VapidKeys | None:
        """
        The pair that may send to a subscription.

        None if it was made so lately that this process does not know it yet: look the
        instance up again in a second.
        """
        if address.vapid_key is None:
            return self.vapid
        return self.vapid_keys.get(address.vapid_key)


@dataclass(frozen=True, slots=True)
class VapidKeyUse:
    """How far one VAPID pair is in use: an overlap is over when the older ones are not."""

    public_key: bytes
    created_at: datetime
    devices: int
    """Living ones whose subscriptions are bound to it."""
    is_current: bool
    """New subscriptions are bound to this one."""


class Instances:
    """The instances of one database."""

    def __init__(
        self,
        database: Database,
        seal: Seal,
        *,
        clock: Callable[[], datetime],
        randomness: Randomness,
    ) -> None:
        """Look at a database; nothing is read yet."""
        self._database = database
        self._seal = seal
        self._clock = clock
        self._randomness = randomness
        self._remembered: dict[InstanceNumber | InstanceId, tuple[Instance, datetime]] = {}
        self._reading_secrets = asyncio.Lock()
        self._app_secrets: Mapping[bytes, InstanceId] = {}
        self._secrets_read_at = _LONG_AGO

    async def create(
        self,
        name: str,
        *,
        identity: str | None = None,
        secret_key: str | None = None,
        client_secret: str | None = None,
        app_secret: str | None = None,
    ) -> Instance:
        """
        Make an instance with fresh secrets and a fresh VAPID pair.

        Args:
            name: For people.
            identity: The id that its apps know already; None makes one up.
            secret_key: The key that its back ends have already; None makes one up.
            client_secret: The secret that its apps have already; None makes one up.
            app_secret: The other one that its back ends have already; None makes one up.

        Raises:
            InvalidInput: The name is empty, longer than 200 characters, or not printable;
                the id is no UUID, or another instance's; a secret is too short, or no word.
        """
        check_name(name)
        now = self._clock()
        made_up = time_ordered_uuid(now, self._randomness(10))
        instance = InstanceId(made_up if identity is None else _read_id(identity))
        secrets = {
            "secret_key": _kept("secret_key", secret_key) or self._new_secret_key(),
            "client_secret": _kept("client_secret", client_secret) or self._randomness(32).hex(),
            "app_secret": _kept("app_secret", app_secret) or self._randomness(32).hex(),
        }
        values = {
            "id": instance,
            "name": name,
            "created_at": now,
            "verify_client_secret": True,
        } | {
            column: self.sealed(instance, column, value.encode())
            for column, value in secrets.items()
        }
        self._secrets_read_at = _LONG_AGO  # there will be one more
        async with self._database.write() as connection:
            if await rows.find(connection, instance) is not None:
                raise InvalidInput("id", "belongs to an instance that is there already")
            number = await rows.add(connection, values)
            await self._add_vapid_keys(connection, number, instance, now=now)
            row = await rows.find(connection, instance)
            assert row is not None  # noqa: S101  (this transaction has just added it)
            return await self._opened(connection, row)

    async def find(self, instance: str) -> Instance | None:
        """The instance with this id, in whatever case it is written; None if there is none."""
        remembered = self._recall(InstanceId(instance))
        if remembered is not None:
            return remembered
        try:
            known = InstanceId(str(UUID(instance)))
        except ValueError:
            return None
        remembered = self._recall(known)
        if remembered is not None:
            return remembered
        async with self._looking(known), self._database.read() as connection:
            return await self._remember(connection, known, await rows.find(connection, known))

    async def find_numbered(self, number: InstanceNumber) -> Instance | None:
        """The instance with this number; None if it has been deleted."""
        remembered = self._recall(number)
        if remembered is not None:
            return remembered
        async with self._looking(number), self._database.read() as connection:
            row = await rows.find_numbered(connection, number)
            return await self._remember(connection, number, row)

    async def of_app_secret(self, secret: str) -> Instance | None:
        """
        The instance whose app secret this is; None if it is nobody's.

        Secrets are sealed, so all of them are opened to see whose it is; not more than once a
        second, however many secrets are guessed.
        """
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        async with self._reading_secrets:
            now = self._clock()
            if digest not in self._app_secrets and now - self._secrets_read_at >= _REMEMBERED:
                self._secrets_read_at = now
                async with self._database.read() as connection:
                    every = await rows.every(connection)
                self._app_secrets = {
                    hashlib.sha256(self.unsealed(row.id, "app_secret", row.app_secret)).digest(): (
                        row.id
                    )
                    for row in every
                }
        known = self._app_secrets.get(digest)
        instance = None if known is None else await self.find(known)
        if instance is None or not auth.is_secret(secret, [instance.app_secret]):
            return None
        return instance

    async def every(self) -> Sequence[Instance]:
        """All instances, oldest first."""
        async with self._database.read() as connection:
            return [await self._opened(connection, row) for row in await rows.every(connection)]

    async def rotate_key(self, instance: InstanceId) -> str | None:
        """
        Make a new secret key; the one before it stays good until the next rotation.

        Returns:
            The new key; None if there is no such instance.
        """
        key = self._new_secret_key()
        async with self._database.write() as connection:
            row = await rows.find(connection, instance, lock=True)
            if row is None:
                return None
            previous = self.unsealed(instance, "secret_key", row.secret_key)
            await rows.change(
                connection,
                instance,
                {
                    "secret_key": self.sealed(instance, "secret_key", key.encode()),
                    "previous_secret_key": self.sealed(instance, "previous_secret_key", previous),
                },
            )
        self.forget()
        return key

    async def rotate_vapid(self, instance: InstanceId) -> VapidKeys | None:
        """
        Make a new VAPID pair the current one; older ones stay while devices need them.

        Returns:
            The new pair; None if there is no such instance.
        """
        async with self._database.write(long=True) as connection:
            row = await rows.find(connection, instance, lock=True)
            if row is None:
                return None
            pair = await self._add_vapid_keys(connection, row.number, instance, now=self._clock())
            await vapid_keys.remove_unused(connection, row.number)
        self.forget()
        return pair

    async def add_vapid(self, instance: InstanceId, private_key: bytes) -> bool:
        """
        Make a VAPID pair from elsewhere the current one, unless the instance has it already.

        Browsers that subscribed with it before can then be sent to.

        Returns:
            Whether it is new; False also if there is no such instance.

        Raises:
            InvalidInput: It is no P-256 private key.
        """
        try:
            pair = vapid.key_pair(private_key)
        except ValueError as problem:
            raise InvalidInput("private_key", str(problem)) from None
        async with self._database.write() as connection:
            row = await rows.find(connection, instance, lock=True)
            if row is None:
                return False
            known = await vapid_keys.of_instance(connection, row.number)
            if pair.public_key in {each.public_key for each in known}:
                return False
            await self._keep_vapid(connection, row.number, instance, pair, now=self._clock())
        self.forget()
        return True

    async def vapid_use(self, instance: InstanceNumber) -> Sequence[VapidKeyUse]:
        """How far each VAPID pair of an instance is in use, the current one first."""
        async with self._database.read(long=True) as connection:
            pairs = await vapid_keys.of_instance(connection, instance)
            counts = await vapid_keys.in_use(connection, instance)
        return [
            VapidKeyUse(
                public_key=pair.public_key,
                created_at=pair.created_at,
                devices=counts.get(pair.number, 0),
                is_current=pair is pairs[-1],
            )
            for pair in reversed(pairs)
        ]

    async def paused_lanes(self, instance: InstanceNumber) -> Sequence[Paused]:
        """The lanes of an instance that are paused."""
        async with self._database.read() as connection:
            return await lanes.paused(connection, instance)

    async def change(
        self,
        instance: InstanceId,
        *,
        name: str | None = None,
        verify_client_secret: bool | None = None,
    ) -> bool:
        """
        Change what is not None; False if there is no such instance.

        Raises:
            InvalidInput: As for ``create``.
        """
        values: dict[str, Any] = {}
        if name is not None:
            check_name(name)
            values["name"] = name
        if verify_client_secret is not None:
            values["verify_client_secret"] = verify_client_secret
        if not values:
            return await self.find(instance) is not None
        return await self._change(instance, values)

    async def set_apns(self, instance: InstanceId, credentials: ApnsIdentity) -> bool:
        """
        Keep an APNs signing key or certificate; False if there is no such instance.

        Raises:
            InvalidInput: The key is not one that Apple takes, a name is missing, or the
                certificate is out of date, for another topic, or not the key's.
        """
        return await self.set_up(instance, credentials={"apns": credentials})

    async def set_fcm(self, instance: InstanceId, credentials: FcmCredentials) -> bool:
        """
        Keep an FCM service account; False if there is no such instance.

        Raises:
            InvalidInput: Its private key is not a PEM RSA key, or a field is missing.
        """
        return await self.set_up(instance, credentials={"fcm": credentials})

    async def remove_credentials(self, instance: InstanceId, *, apns: bool) -> bool:
        """Forget an instance's credentials; False if there is no such instance."""
        return await self.set_up(instance, credentials={"apns" if apns else "fcm": None})

    async def change_document(self, instance: InstanceId, dialect: str, change: Change) -> bool:
        """
        Change what a dialect keeps of an instance, while nobody else does.

        Returns:
            False if there is no such instance.
        """
        return await self.set_up(instance, documents={dialect: change})

    async def set_up(
        self,
        instance: InstanceId,
        *,
        documents: Mapping[str, Change] | None = None,
        credentials: Mapping[Credential, ApnsIdentity | FcmCredentials | None] | None = None,
    ) -> bool:
        """
        Change what dialects keep of an instance, with the credentials that go with it.

        All of it is one commit. One message finds out whether paused lanes go on with them.

        Args:
            instance: Whose.
            documents: How each is to be changed, by its name.
            credentials: Those that change; None forgets.

        Returns:
            False if there is no such instance.

        Raises:
            InvalidInput: As for ``set_apns`` and ``set_fcm``.
        """
        given = credentials or {}
        for each in given.values():
            check(each, now=self._clock())
        # Not before the workers of other processes know them.
        at = self._clock() + (_REMEMBERED if self._database.is_shared else timedelta(0))
        async with self._database.write() as connection:
            if given:
                await rows.change(connection, instance, self._columns(instance, given))
            # Who has changed the row holds it, and lets others refer to it, who may have lanes.
            row = await rows.find(connection, instance, lock=not given)
            if row is None:
                return False
            for gateway in sorted({_GATEWAYS[each] for each in given if given[each] is not None}):
                await lanes.probe_soon(connection, instance, gateway, at=at)
            for name, change in (documents or {}).items():
                await self._change_document(connection, row, name, change)
        self.forget()
        return True

    def _columns(
        self,
        instance: InstanceId,
        credentials: Mapping[Credential, ApnsIdentity | FcmCredentials | None],
    ) -> dict[str, Any]:
        columns = {f"{name}_credentials": value for name, value in credentials.items()}
        return {
            column: None
            if value is None
            else self.sealed(instance, column, msgspec.json.encode(value))
            for column, value in columns.items()
        }

    async def _change_document(
        self, connection: AsyncConnection, row: InstanceRow, name: str, change: Change
    ) -> None:
        context = _document_context(name)
        kept = (await dialect_settings.of_instance(connection, row.number)).get(name)
        document = change(None if kept is None else self.unsealed(row.id, context, kept))
        if document is None:
            await dialect_settings.remove(connection, row.number, name)
        else:
            sealed = self.sealed(row.id, context, document)
            await dialect_settings.put(connection, row.number, name, sealed)

    async def delete(self, instance: InstanceId) -> bool:
        """Delete an instance and all that it owns; False if there is no such instance."""
        async with self._database.write(long=True) as connection:
            removed = await rows.remove(connection, instance)
        self.forget()
        return removed

    async def _change(self, instance: InstanceId, values: dict[str, Any]) -> bool:
        async with self._database.write() as connection:
            changed = await rows.change(connection, instance, values)
        self.forget()
        return changed

    def forget(self) -> None:
        """Look at the database again: something that belongs to an instance has changed."""
        self._remembered.clear()

    def _recall(self, key: InstanceNumber | InstanceId) -> Instance | None:
        remembered = self._remembered.get(key)
        if remembered is None or self._clock() - remembered[1] >= _REMEMBERED:
            return None
        return remembered[0]

    @asynccontextmanager
    async def _looking(self, key: InstanceNumber | InstanceId) -> AsyncIterator[None]:
        """
        While one looks, others make do with what was remembered.

        Otherwise everybody who asks at the end of those two seconds would look.
        """
        remembered = self._remembered.get(key)
        if remembered is not None:
            self._remembered[key] = (remembered[0], self._clock())
        try:
            yield
        except BaseException:
            self._remembered.pop(key, None)
            raise

    async def _remember(
        self,
        connection: AsyncConnection,
        key: InstanceNumber | InstanceId,
        row: InstanceRow | None,
    ) -> Instance | None:
        if row is None:
            self._remembered.pop(key, None)
            return None
        instance = await self._opened(connection, row)
        self._remembered[instance.id] = (instance, self._clock())
        self._remembered[instance.number] = (instance, self._clock())
        return instance

    async def _opened(self, connection: AsyncConnection, row: InstanceRow) -> Instance:
        keys = [self.unsealed(row.id, "secret_key", row.secret_key)]
        if row.previous_secret_key is not None:
            keys.append(self.unsealed(row.id, "previous_secret_key", row.previous_secret_key))
        return Instance(
            number=row.number,
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            secret_keys=tuple(key.decode() for key in keys),
            client_secret=self.unsealed(row.id, "client_secret", row.client_secret).decode(),
            app_secret=self.unsealed(row.id, "app_secret", row.app_secret).decode(),
            vapid_keys={
                pair.number: VapidKeys(
                    private_key=self.unsealed(row.id, _VAPID_CONTEXT, pair.private_key),
                    public_key=pair.public_key,
                )
                for pair in await vapid_keys.of_instance(connection, row.number)
            },
            apns=self._apns(row, "apns_credentials", row.apns_credentials),
            website=self._apns(row, "website_credentials", row.website_credentials),
            fcm=self._fcm(row),
            verify_client_secret=row.verify_client_secret,
            subjects=frozenset[Subject]().union(
                *[each.subjects for each in await webhooks.of_instance(connection, row.number)]
            ),
            documents={
                dialect: self.unsealed(row.id, _document_context(dialect), document)
                for dialect, document in (
                    await dialect_settings.of_instance(connection, row.number)
                ).items()
            },
        )

    def _apns(self, row: InstanceRow, column: str, sealed: bytes | None) -> ApnsIdentity | None:
        if sealed is None:
            return None
        text = self.unsealed(row.id, column, sealed)
        value = msgspec.json.decode(text, type=dict[str, Any])
        if "certificate" in value:
            return msgspec.convert(value, ApnsCertificate)
        return msgspec.convert(value, ApnsCredentials)

    def _fcm(self, row: InstanceRow) -> FcmCredentials | None:
        if row.fcm_credentials is None:
            return None
        text = self.unsealed(row.id, "fcm_credentials", row.fcm_credentials)
        return msgspec.json.decode(text, type=FcmCredentials)

    def sealed(self, instance: InstanceId, column: str, value: bytes) -> bytes:
        """A secret of an instance as it is kept; it opens under the same name only."""
        return self._seal.seal(
            value, context=f"instances/{instance}/{column}", nonce=self._randomness(12)
        )

    def unsealed(self, instance: InstanceId, column: str, sealed: bytes) -> bytes:
        """A secret of an instance, as it was before it was sealed."""
        return self._seal.open(sealed, context=f"instances/{instance}/{column}")

    def _new_secret_key(self) -> str:
        """64 upper-case hexadecimal digits: the form of a Beams secret key."""
        return self._randomness(32).hex().upper()

    async def _add_vapid_keys(
        self,
        connection: AsyncConnection,
        number: InstanceNumber,
        instance: InstanceId,
        *,
        now: datetime,
    ) -> VapidKeys:
        pair = self._new_vapid_keys()
        await self._keep_vapid(connection, number, instance, pair, now=now)
        return pair

    async def _keep_vapid(
        self,
        connection: AsyncConnection,
        number: InstanceNumber,
        instance: InstanceId,
        pair: VapidKeys,
        *,
        now: datetime,
    ) -> None:
        await vapid_keys.add(
            connection,
            number,
            public_key=pair.public_key,
            private_key=self.sealed(instance, _VAPID_CONTEXT, pair.private_key),
            now=now,
        )

    def _new_vapid_keys(self) -> VapidKeys:
        """A fresh pair: almost every 32 bytes are a P-256 private key."""
        while True:
            try:
                return vapid.key_pair(self._randomness(32))
            except ValueError:
                continue


def _document_context(dialect: str) -> str:
    return f"documents/{dialect}"


def check_name(name: str) -> None:
    """Refuse a name that nobody could read in a list."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput("name", f"must be 1 to {_LONGEST_NAME} printable characters")


def _read_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidInput("id", "must be a UUID") from None


def _kept(field_name: str, secret: str | None) -> str | None:
    """
    A secret that others have already.

    Beams' oldest have 31 hexadecimal digits; what is much shorter can be guessed.
    """
    if secret is None:
        return None
    is_word = secret.isascii() and secret.isprintable() and " " not in secret
    if not is_word or not _SHORTEST_KEY <= len(secret) <= _LONGEST_KEY:
        sentence = f"must be {_SHORTEST_KEY} to {_LONGEST_KEY} ASCII characters without spaces"
        raise InvalidInput(field_name, sentence)
    return secret
