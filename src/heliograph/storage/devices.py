"""
Queries on devices.

A pruned device is kept, with the reason, but no query finds it unless it says so:
it can be restored, and comes back by itself when its address registers again.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    CompoundSelect,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    true,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import (
    USUAL_PLATFORM,
    Address,
    ApnsAddress,
    DeviceId,
    DeviceNumber,
    Environment,
    FcmAddress,
    Gateway,
    InstanceNumber,
    Interest,
    Platform,
    Target,
    ToInterests,
    ToMatching,
    ToUsers,
    UserId,
    VapidKeyNumber,
    WebAddress,
    address_digest,
    gateway_of,
)
from heliograph.storage import bulk, locks
from heliograph.storage.tables import devices, interests, users


@dataclass(frozen=True, slots=True)
class Prune:
    """Why a device is out of service."""

    at: datetime
    reason: str
    """Its gateway's word."""
    gone_since: datetime | None
    """Since when it is gone, as its gateway says; None if it did not say."""
    is_quarantine: bool
    """Whether it was not said to be gone, but suspected too often."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device; a living one unless it says so."""

    number: DeviceNumber
    id: DeviceId
    address: Address
    user: UserId | None
    metadata: dict[str, Any]
    created_at: datetime
    registered_at: datetime
    """When its address was last given to us, which proves that it was alive then."""
    prune: Prune | None = None
    """Why it is out of service; None if it lives."""
    name: str | None = None
    """What its own app calls it; None where that is left to us."""
    platform: Platform = Platform.IOS
    """What kind of app it is; its gateway's usual one if it did not say."""

    @property
    def own_name(self) -> str:
        """What its app knows it by."""
        return self.id if self.name is None else self.name


class ApnsRecipient(NamedTuple):
    """A living device as far as delivery needs to know it, which is as its row is read."""

    number: DeviceNumber
    token: str
    topic: str | None
    environment: Environment | str | None
    platform: str | None = None


class FcmRecipient(NamedTuple):
    """The same of an Android device."""

    number: DeviceNumber
    token: str
    platform: str | None = None


class WebRecipient(NamedTuple):
    """The same of a browser."""

    number: DeviceNumber
    endpoint: str
    p256dh: bytes
    auth: bytes
    vapid_key: VapidKeyNumber | None
    platform: str | None = None

    @property
    def address(self) -> WebAddress:
        """Where its messages are encrypted for."""
        return WebAddress(self.endpoint, self.p256dh, self.auth, self.vapid_key)


Recipient = ApnsRecipient | FcmRecipient | WebRecipient


def recipient(
    number: DeviceNumber, address: Address, platform: Platform | None = None
) -> Recipient:
    """What delivery needs to know of a device at an address."""
    match address:
        case ApnsAddress(token=token, topic=topic, environment=environment):
            return ApnsRecipient(number, token, topic, environment, platform)
        case FcmAddress(token=token):
            return FcmRecipient(number, token, platform)
        case WebAddress(endpoint=endpoint, p256dh=p256dh, auth=auth, vapid_key=key):
            return WebRecipient(number, endpoint, p256dh, auth, key, platform)


@dataclass(frozen=True, slots=True)
class Known:
    """A device, living or pruned, without its address."""

    number: DeviceNumber
    id: DeviceId
    gateway: Gateway
    created_at: datetime
    pruned_at: datetime | None
    prune_reason: str | None


async def find(
    connection: AsyncConnection, instance: InstanceNumber, device: DeviceId, *, lock: bool = False
) -> Device | None:
    """
    The living device with this id; None if there is none.

    Args:
        connection: The transaction.
        instance: Whose device.
        device: Its id.
        lock: Let no other transaction change it until this one ends.
    """
    if lock:
        await locks.hold_rows(
            connection,
            select(devices.c.number).where(
                devices.c.instance_number == instance, devices.c.id == device
            ),
        )
    named = {"instance": instance, "device": device}
    row = (await connection.execute(_FIND, named)).first()
    return None if row is None else _read(row)


async def find_any(
    connection: AsyncConnection, instance: InstanceNumber, device: DeviceId
) -> Device | None:
    """The device with this id, living or pruned; None if there is none."""
    row = (await connection.execute(_every(instance).where(devices.c.id == device))).first()
    return None if row is None else _read(row)


async def find_numbered(connection: AsyncConnection, number: DeviceNumber) -> Device | None:
    """The device with this number, living or pruned; None if there is none."""
    query = select(devices, users.c.id.label("user_id")).outerjoin(
        users, users.c.number == devices.c.user_number
    )
    row = (await connection.execute(query.where(devices.c.number == number))).first()
    return None if row is None else _read(row)


async def find_address(
    connection: AsyncConnection, instance: InstanceNumber, address: Address
) -> DeviceNumber | None:
    """
    The number of the device at an address, pruned or not; None if it is new.

    Nobody else can put a device there, or take it away, until the transaction ends.
    """
    await hold_address(connection, instance, address)
    query = select(devices.c.number).where(
        devices.c.instance_number == instance,
        devices.c.address_digest == address_digest(address),
    )
    number = await connection.scalar(query.with_for_update())
    return None if number is None else DeviceNumber(number)


async def number_at(
    connection: AsyncConnection, instance: InstanceNumber, address: Address
) -> DeviceNumber | None:
    """The number of the device at an address, pruned or not, as it is now; None if it is new."""
    query = select(devices.c.number).where(
        devices.c.instance_number == instance,
        devices.c.address_digest == address_digest(address),
    )
    number = await connection.scalar(query)
    return None if number is None else DeviceNumber(number)


async def hold_address(
    connection: AsyncConnection, instance: InstanceNumber, address: Address
) -> None:
    """Let nobody else put a device at an address until the transaction ends."""
    await locks.hold_name(connection, "address", int(instance), address_digest(address))


async def hold(connection: AsyncConnection, numbers: Iterable[DeviceNumber]) -> None:
    """Let nobody else change these devices; whoever changes several holds them first."""
    ordered = sorted(numbers)
    for start in range(0, len(ordered), _NUMBERS_PER_STATEMENT):
        some = ordered[start : start + _NUMBERS_PER_STATEMENT]
        rows = select(devices.c.number).where(devices.c.number.in_(some))
        await locks.hold_rows(connection, rows.order_by(devices.c.number))


async def hold_either(
    connection: AsyncConnection, instance: InstanceNumber, device: DeviceId, address: Address
) -> None:
    """Let nobody else change the device with an id, or the one at an address."""
    rows = select(devices.c.number).where(
        devices.c.instance_number == instance,
        or_(devices.c.id == device, devices.c.address_digest == address_digest(address)),
    )
    await locks.hold_rows(connection, rows.order_by(devices.c.number))


async def number_of(
    connection: AsyncConnection, instance: InstanceNumber, device: DeviceId
) -> DeviceNumber | None:
    """The number of a device, pruned or not; None if there is none with this id."""
    query = select(devices.c.number).where(
        devices.c.instance_number == instance, devices.c.id == device
    )
    number = await connection.scalar(query)
    return None if number is None else DeviceNumber(number)


async def known(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    device: DeviceId | None = None,
    user: UserId | None = None,
) -> Sequence[Known]:
    """
    Devices, pruned or not, in the order they were made: the one with an id, or a user's.

    A pruned device still counts as its last user's.
    """
    query = select(devices).where(devices.c.instance_number == instance)
    if device is not None:
        query = query.where(devices.c.id == device)
    if user is not None:
        query = query.join(users, users.c.number == devices.c.user_number).where(
            users.c.instance_number == instance, users.c.id == user
        )
    return [
        Known(
            number=DeviceNumber(row.number),
            id=DeviceId(row.id),
            gateway=Gateway(row.gateway),
            created_at=row.created_at,
            pruned_at=row.pruned_at,
            prune_reason=row.prune_reason,
        )
        for row in await connection.execute(query.order_by(devices.c.number))
    ]


async def id_of(connection: AsyncConnection, number: DeviceNumber) -> DeviceId:
    """The id of a device that is known to be there."""
    return DeviceId(
        (await connection.scalars(select(devices.c.id).where(devices.c.number == number))).one()
    )


async def page(
    connection: AsyncConnection,
    instance: InstanceNumber,
    *,
    user: UserId | None = None,
    pruned: bool = False,
    after: DeviceNumber = DeviceNumber(0),
    offset: int = 0,
    limit: int,
    wanted: Iterable[ColumnElement[bool]] = (),
) -> Sequence[Device]:
    """
    Living devices, or pruned ones, in the order they were made, those after a number.

    Those for which all that is wanted holds, without so many of the first.
    """
    which = devices.c.pruned_at.is_not(None) if pruned else devices.c.pruned_at.is_(None)
    query = _every(instance).where(which, devices.c.number > after, *wanted)
    if user is not None:
        query = query.where(users.c.id == user)
    query = query.order_by(devices.c.number).offset(offset or None).limit(limit)
    return [_read(row) for row in await connection.execute(query)]


async def walk(
    connection: AsyncConnection, instance: InstanceNumber, *, after: DeviceNumber, limit: int
) -> Sequence[Device]:
    """
    The next living devices of an instance, for who wants all of them.

    The table is walked once, in its own order. Asked for those of the instance outright,
    SQLite would sort all that it has for each page.
    """
    is_its_own = devices.c.instance_number + 0 == instance
    query = (
        select(devices, users.c.id.label("user_id"))
        .outerjoin(users, users.c.number == devices.c.user_number)
        .where(is_its_own, devices.c.pruned_at.is_(None), devices.c.number > after)
        .order_by(devices.c.number)
        .limit(limit)
    )
    return [_read(row) for row in await connection.execute(query)]


async def add(
    connection: AsyncConnection,
    instance: InstanceNumber,
    device: DeviceId,
    address: Address,
    metadata: dict[str, Any],
    *,
    now: datetime,
    **more: Any,
) -> DeviceNumber:
    """Keep a new device, with more columns if need be; its number."""
    number = await connection.scalar(
        insert(devices)
        .values(
            instance_number=instance,
            id=device,
            metadata=metadata,
            created_at=now,
            registered_at=now,
            **columns(address),
            **more,
        )
        .returning(devices.c.number)
    )
    return DeviceNumber(int(number or 0))


async def renew(
    connection: AsyncConnection,
    number: DeviceNumber,
    address: Address,
    metadata: dict[str, Any],
    *,
    now: datetime,
) -> None:
    """
    Note that a known device registered again; a pruned one is restored by that.

    A restored device keeps its interests but not its user: between its death and
    now it may have changed hands, and its owner logs in at every launch anyway.
    """
    own = _columns_after(address)
    if own["environment"] is None:
        # What a gateway's answers taught us outlives a registration that cannot tell.
        del own["environment"]
    await change(
        connection,
        number,
        metadata=metadata,
        registered_at=now,
        **_UNPRUNED,
        user_number=case((devices.c.pruned_at.is_(None), devices.c.user_number)),
        **own,
    )


async def change(connection: AsyncConnection, number: DeviceNumber, **values: Any) -> None:
    """Set some columns of one device."""
    await connection.execute(update(devices).where(devices.c.number == number).values(values))


async def move(
    connection: AsyncConnection, number: DeviceNumber, address: Address, *, now: datetime
) -> None:
    """Give a device another address: its gateway handed it a new token."""
    await change(connection, number, registered_at=now, **_columns_after(address))


async def remember_environment(
    connection: AsyncConnection, numbers: Sequence[DeviceNumber], environment: Environment
) -> None:
    """Note which of Apple's two worlds knows the tokens of these devices, if they still live."""
    for start in range(0, len(numbers), _NUMBERS_PER_STATEMENT):
        await connection.execute(
            update(devices)
            .where(
                devices.c.number.in_(numbers[start : start + _NUMBERS_PER_STATEMENT]),
                devices.c.gateway == str(Gateway.APNS),
                devices.c.pruned_at.is_(None),
            )
            .values(environment=environment)
        )


async def remove(connection: AsyncConnection, number: DeviceNumber) -> None:
    """Delete a device and its interests."""
    await connection.execute(delete(devices).where(devices.c.number == number))


async def registered(
    connection: AsyncConnection, numbers: Iterable[DeviceNumber]
) -> dict[DeviceNumber, datetime]:
    """When each of these devices registered last, of those that live."""
    ordered = sorted(numbers)
    found: dict[DeviceNumber, datetime] = {}
    for start in range(0, len(ordered), _NUMBERS_PER_STATEMENT):
        query = select(devices.c.number, devices.c.registered_at).where(
            devices.c.number.in_(ordered[start : start + _NUMBERS_PER_STATEMENT]),
            devices.c.pruned_at.is_(None),
        )
        for number, instant in await connection.execute(query):
            found[DeviceNumber(number)] = instant
    return found


async def prune(
    connection: AsyncConnection,
    number: DeviceNumber,
    *,
    reason: str,
    unless_registered_after: datetime | None,
    gone_since: datetime | None = None,
    is_quarantine: bool = False,
    now: datetime,
) -> bool:
    """
    Take a device out of service because its gateway says that it is gone.

    Args:
        connection: The transaction.
        number: The device.
        reason: The gateway's word for it.
        unless_registered_after: A registration since then proves it alive; None if nothing
            would.
        gone_since: When the gateway says that it died, if it did.
        is_quarantine: Whether it was not said to be gone, but suspected too often.
        now: When.

    Returns:
        Whether it was pruned; False if it was not there, or has registered since.
    """
    query = update(devices).where(devices.c.number == number, devices.c.pruned_at.is_(None))
    if unless_registered_after is not None:
        query = query.where(devices.c.registered_at <= unless_registered_after)
    pruned = await connection.execute(
        query.values(
            pruned_at=now,
            prune_reason=reason,
            gone_since=gone_since,
            is_quarantined=is_quarantine,
        )
    )
    return pruned.rowcount == 1


async def restore(
    connection: AsyncConnection, instance: InstanceNumber, device: DeviceId
) -> Device | None:
    """
    Take a pruned device back into service; a living one stays as it is.

    It keeps its interests but not its user, as one that registers again. Nothing proves
    it alive: its gateway may say once more that it is gone.

    Returns:
        The device; None if there is none with this id.
    """
    await connection.execute(
        update(devices)
        .where(
            devices.c.instance_number == instance,
            devices.c.id == device,
            devices.c.pruned_at.is_not(None),
        )
        .values(**_UNPRUNED, user_number=None)
    )
    return await find(connection, instance, device)


# --- what a publish needs ------------------------------------------------------------


class Addressed(NamedTuple):
    """A device that a publish addresses, as far as expansion needs to know it."""

    number: DeviceNumber
    gateway: str
    environment: str | None


async def addressed(
    connection: AsyncConnection,
    instance: InstanceNumber,
    target: Target,
    gateways: Iterable[Gateway],
    *,
    after: int,
    limit: int,
) -> Sequence[Addressed]:
    """
    The next living devices of a target, each once, in the order of their numbers.

    Args:
        connection: The transaction.
        instance: Whose devices.
        target: Whom the publish addresses.
        gateways: Those that the publish has something for.
        after: The number to go on from; 0 at the beginning.
        limit: How many at most.
    """
    walks = [
        walk.where(
            devices.c.number > after,
            devices.c.gateway.in_([str(gateway) for gateway in gateways]),
            devices.c.pruned_at.is_(None),
        ).limit(limit)
        for walk in _walks(instance, target, after=after)
    ]
    query: Select[Any] | CompoundSelect[Any] = walks[0]
    if len(walks) > 1:
        parts = [select(walk.subquery()) for walk in walks]
        query = union(*parts).order_by("number").limit(limit)
    return await bulk.read(connection, query, Addressed)


async def still_addressed(
    connection: AsyncConnection,
    instance: InstanceNumber,
    target: Target,
    gateway: Gateway,
    numbers: "array[int]",
) -> Sequence[Recipient]:
    """
    Those of a batch that its publish still addresses, in the order of their numbers.

    Between expansion and delivery a person may have logged out, or somebody else
    in: what was meant for the one must not show on the other's screen.
    """
    kind, columns = _RECIPIENTS[gateway]
    among = bulk.among(connection, numbers)
    query = (
        select(devices.c.number, *columns)
        .where(
            among(devices.c.number),
            devices.c.gateway == str(gateway),
            devices.c.pruned_at.is_(None),
            _is_addressed(instance, target, among),
        )
        .order_by(devices.c.number)
    )
    found: Sequence[Recipient] = await bulk.read(connection, query, kind)
    batch = frozenset(numbers)
    return [each for each in found if each.number in batch]


_NUMBERS_PER_STATEMENT = 1000
_UNPRUNED: Final[dict[str, None]] = dict.fromkeys(
    ("pruned_at", "prune_reason", "gone_since", "is_quarantined")
)


# No query below asks for the devices of the instance outright. A user's devices and the
# subscribers of an interest are its own; asked all the same, SQLite would walk through
# every device that the instance has rather than look up those that were named.


def _walks(instance: InstanceNumber, target: Target, *, after: int) -> list[Select[Any]]:
    """
    Ways along the devices of a target, in the order of their numbers; together they are it.

    An interest may have everybody for a subscriber, so each is walked along its index,
    and no further than a page can need.
    """
    walk = select(devices.c.number, devices.c.gateway, devices.c.environment)
    match target:
        case ToMatching():
            return _walks_matching(walk, instance, target, after=after)
        case ToUsers(users=names):
            return [
                walk.join(users, users.c.number == devices.c.user_number)
                .where(users.c.instance_number == instance, users.c.id.in_(names))
                .order_by(devices.c.number)
            ]
        case ToInterests(interests=names):
            return [
                walk.join(interests, interests.c.device_number == devices.c.number)
                .where(
                    interests.c.instance_number == instance,
                    interests.c.name == name,
                    interests.c.device_number > after,
                )
                .order_by(interests.c.device_number)
                for name in names
            ]


def _is_addressed(
    instance: InstanceNumber, target: Target, among: bulk.Among
) -> ColumnElement[bool]:
    """Whether a device is of a target; ``among`` narrows the search."""
    match target:
        case ToMatching(interests=names):
            subscribed = _is_subscribed(instance, names or (), among)
            return and_(_is_own(instance), *_conditions(instance, target, subscribed))
        case ToUsers(users=people):
            return devices.c.user_number.in_(_people(instance, people))
        case ToInterests(interests=names):
            return _is_subscribed(instance, names, among)


def _walks_matching(
    walk: Select[Any], instance: InstanceNumber, target: ToMatching, *, after: int
) -> list[Select[Any]]:
    """
    The same along a target that names several kinds, or none.

    Devices and people that are named lead to few, and so they go before interests, which are
    then looked up for each. Where nothing leads, all that the instance has are walked,
    along the index that has them in order.
    """
    own = _is_own(instance)
    if target.devices is not None or target.users is not None:
        subscribed = exists().where(
            interests.c.instance_number == instance,
            interests.c.name.in_(target.interests or ()),
            interests.c.device_number == devices.c.number,
        )
        conditions = _conditions(instance, target, subscribed)
        return [walk.where(own, *conditions).order_by(devices.c.number)]
    rest = _conditions(instance, replace(target, interests=None), true())
    if target.interests is None:
        everybody = walk.where(devices.c.instance_number == instance, *rest)
        return [everybody.order_by(devices.c.number)]
    ways = _walks(instance, ToInterests(target.interests), after=after)
    return [way.where(*rest) for way in ways] or [walk.where(false())]


def _is_own(instance: InstanceNumber) -> ColumnElement[bool]:
    """
    Whether a device is of an instance, for who has another way to it.

    Asked for those of the instance outright, SQLite would take all of them, and sort them.
    """
    return devices.c.instance_number + 0 == instance


def _conditions(
    instance: InstanceNumber, target: ToMatching, is_subscribed: ColumnElement[bool]
) -> list[ColumnElement[bool]]:
    """What a device must be to be of a target: one of each kind that is named."""
    conditions: list[ColumnElement[bool]] = []
    if target.devices is not None:
        conditions.append(devices.c.number.in_(target.devices))
    if target.users is not None:
        conditions.append(devices.c.user_number.in_(_people(instance, target.users)))
    if target.interests is not None:
        conditions.append(is_subscribed)
    if target.platforms is not None:
        conditions.append(is_of_platform(target.platforms))
    return conditions


def _people(instance: InstanceNumber, names: Iterable[UserId]) -> Select[tuple[int]]:
    return select(users.c.number).where(
        users.c.instance_number == instance, users.c.id.in_(list(names))
    )


def _is_subscribed(
    instance: InstanceNumber, names: Iterable[Interest], among: bulk.Among
) -> ColumnElement[bool]:
    subscribers = select(interests.c.device_number).where(
        interests.c.instance_number == instance,
        interests.c.name.in_(list(names)),
        among(interests.c.device_number),
    )
    return devices.c.number.in_(subscribers)


def is_of_platform(platforms: Iterable[Platform]) -> ColumnElement[bool]:
    """Whether a device is of one of some platforms; one that did not say is a usual one."""
    wanted = set(platforms)
    usual = [gateway for gateway, platform in USUAL_PLATFORM.items() if platform in wanted]
    return or_(
        devices.c.platform.in_(sorted(wanted)),
        and_(devices.c.platform.is_(None), devices.c.gateway.in_(usual)),
    )


def _every(instance: InstanceNumber | BindParameter[Any]) -> Select[Any]:
    return (
        select(devices, users.c.id.label("user_id"))
        .outerjoin(users, users.c.number == devices.c.user_number)
        .where(devices.c.instance_number == instance)
    )


_FIND: Final = _every(bindparam("instance")).where(
    devices.c.id == bindparam("device"), devices.c.pruned_at.is_(None)
)
"""Made once, for nearly every request of a device asks it, and making it costs more."""


def columns(address: Address) -> dict[str, Any]:
    """The columns that an address fills, and those that it leaves empty."""
    own: dict[str, Any] = {
        "gateway": str(gateway_of(address)),
        "address_digest": address_digest(address),
        "topic": None,
        "environment": None,
        "p256dh": None,
        "auth": None,
        "vapid_key_number": None,
    }
    match address:
        case ApnsAddress(token=token, topic=topic, environment=environment):
            return own | {"token": token, "topic": topic, "environment": environment}
        case FcmAddress(token=token):
            return own | {"token": token}
        case WebAddress(endpoint=endpoint, p256dh=p256dh, auth=auth, vapid_key=key):
            return own | {
                "token": endpoint,
                "p256dh": p256dh,
                "auth": auth,
                "vapid_key_number": key,
            }


def _columns_after(address: Address) -> dict[str, Any]:
    """
    What an address makes of a device that is there already.

    A subscription that is given to us again, endpoint and keys, is the same one and
    keeps its VAPID pair; any other was made with the pair that the address says.
    """
    own = columns(address)
    if isinstance(address, WebAddress):
        known = {name: own[name] for name in ("address_digest", "p256dh", "auth")}
        is_same = and_(*[devices.c[name] == value for name, value in known.items()])
        key = devices.c.vapid_key_number
        own["vapid_key_number"] = case(
            (and_(is_same, key.is_not(None)), key), else_=address.vapid_key
        )
    return own


def _read(row: Row[Any]) -> Device:
    return Device(
        number=DeviceNumber(row.number),
        id=DeviceId(row.id),
        address=_address(row),
        user=None if row.user_id is None else UserId(row.user_id),
        metadata=row.metadata,
        created_at=row.created_at,
        registered_at=row.registered_at,
        prune=_prune(row),
        name=row.name,
        platform=platform_of(row.gateway, row.platform),
    )


def platform_of(gateway: str, platform: str | None) -> Platform:
    """The platform of a device, from the columns of its row."""
    return USUAL_PLATFORM[Gateway(gateway)] if platform is None else Platform(platform)


def _prune(row: Row[Any]) -> Prune | None:
    if row.pruned_at is None:
        return None
    is_quarantine = bool(row.is_quarantined)
    return Prune(row.pruned_at, row.prune_reason or "", row.gone_since, is_quarantine)


def _address(row: Row[Any]) -> Address:
    match Gateway(row.gateway):
        case Gateway.APNS:
            return ApnsAddress(row.token, row.topic, _environment(row.environment))
        case Gateway.FCM:
            return FcmAddress(row.token)
        case Gateway.WEB:
            return WebAddress(row.token, row.p256dh, row.auth, row.vapid_key_number)


_RECIPIENTS: Final[dict[Gateway, tuple[type[Recipient], Sequence[Column[Any]]]]] = {
    Gateway.APNS: (
        ApnsRecipient,
        (devices.c.token, devices.c.topic, devices.c.environment, devices.c.platform),
    ),
    Gateway.FCM: (FcmRecipient, (devices.c.token, devices.c.platform)),
    Gateway.WEB: (
        WebRecipient,
        (
            devices.c.token,
            devices.c.p256dh,
            devices.c.auth,
            devices.c.vapid_key_number,
            devices.c.platform,
        ),
    ),
}
"""What becomes of a row, and the columns that it has besides the number, in their order."""


def _environment(value: str | None) -> Environment | None:
    return None if value is None else Environment(value)


async def is_any(connection: AsyncConnection, instance: InstanceNumber) -> bool:
    """Whether an instance has a living device."""
    query = select(devices.c.number).where(
        devices.c.instance_number == instance, devices.c.pruned_at.is_(None)
    )
    return await connection.scalar(query.limit(1)) is not None


async def count(connection: AsyncConnection, instance: InstanceNumber) -> int:
    """How many living devices an instance has."""
    query = select(func.count()).where(
        devices.c.instance_number == instance, devices.c.pruned_at.is_(None)
    )
    return int(await connection.scalar(query) or 0)
