"""Our words: ids that sort by time, deliveries that keep their name, values that keep secrets."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import apns_credentials, fcm_credentials
from heliograph.model import (
    Address,
    ApnsAddress,
    ApnsCertificate,
    ApnsMessage,
    DeviceNumber,
    FcmAddress,
    FcmMessage,
    Gateway,
    Messages,
    PublishId,
    VapidKeys,
    WebAddress,
    WebMessage,
    address_digest,
    delivery_ids,
    gateway_of,
    time_ordered_uuid,
)

instants = st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  (the strategy wants naive bounds)
ten_bytes = st.binary(min_size=10, max_size=10)
names = st.text(min_size=1, max_size=164)
device_numbers = st.integers(1, 2**48 - 1)


@given(instants, ten_bytes)
def test_time_ordered_ids_are_uuids_of_version_seven(now: datetime, chance: bytes) -> None:
    """A time-ordered id is a canonical UUID of version 7 in the variant of RFC 9562."""
    text = time_ordered_uuid(now, chance)

    read = UUID(text)
    assert (text, 7, RFC_4122) == (str(read), read.version, read.variant)


@given(instants, ten_bytes)
def test_a_time_ordered_id_leads_with_its_millisecond(now: datetime, chance: bytes) -> None:
    """The first 48 bits of a time-ordered id are the millisecond in which it was made."""
    text = time_ordered_uuid(now, chance)

    assert int(now.timestamp() * 1000) == UUID(text).int >> 80


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(timedelta(milliseconds=1), timedelta(days=36_500)),
    ten_bytes,
    ten_bytes,
)
def test_later_ids_sort_after_earlier_ones(
    now: datetime, wait: timedelta, first: bytes, second: bytes
) -> None:
    """Of two ids made a millisecond or more apart, the later sorts after the earlier."""
    assert time_ordered_uuid(now, first) < time_ordered_uuid(now + wait, second)


@given(instants, ten_bytes, ten_bytes)
def test_chance_tells_ids_of_one_millisecond_apart(
    now: datetime, first: bytes, second: bytes
) -> None:
    """Two ids of one instant are equal only if the 74 random bits of both are."""

    def bits(chance: bytes) -> int:
        mask = (0x0FFF << 64) | 0x3FFF_FFFF_FFFF_FFFF
        return int.from_bytes(chance) & mask

    are_equal = time_ordered_uuid(now, first) == time_ordered_uuid(now, second)

    assert (bits(first) == bits(second)) == are_equal


def delivery_id(publish: str, device: int) -> str:
    (made,) = delivery_ids(PublishId(publish))([DeviceNumber(device)])
    return made.decode()


@given(names, device_numbers)
def test_a_delivery_has_one_canonical_name(publish: str, device: int) -> None:
    """The id of a delivery is a lower-case UUID of version 8, the same at every attempt."""
    try:
        text, again = delivery_id(publish, device), delivery_id(publish, device)
    except UnicodeEncodeError:
        return  # no id of ours has half a character

    read = UUID(text)
    assert (text, text.lower(), 8, RFC_4122) == (again, str(read), read.version, read.variant)


def test_every_delivery_has_a_name_of_its_own() -> None:
    """Another publish or another device gives another delivery id."""
    made = {
        delivery_id(f"pubid-{publish}", device) for publish in range(30) for device in range(30)
    }

    assert 900 == len(made)


def test_a_delivery_keeps_the_name_it_was_given() -> None:
    """A delivery id does not change between versions: a repeat may come after an upgrade."""
    made = delivery_id("pubid-018cc1d5-0000-7000-8000-000000000000", 1_000_000)

    assert "c845f204-60ae-841c-bf6b-437125c66a2b" == made


@pytest.mark.parametrize(
    "address, gateway",
    [
        (ApnsAddress("aa"), Gateway.APNS),
        (FcmAddress("aa"), Gateway.FCM),
        (WebAddress("https://push.example.com/1", b"", b""), Gateway.WEB),
    ],
)
def test_each_kind_of_address_belongs_to_a_gateway(address: Address, gateway: Gateway) -> None:
    """An address tells by its kind which push service it is at."""
    assert gateway == gateway_of(address)


def test_a_browser_is_known_by_its_endpoint_alone() -> None:
    """A subscription whose keys are read in another form is the same browser."""
    one = WebAddress("https://push.example.com/1", b"p", b"a")
    same = WebAddress("https://push.example.com/1", b"q", b"b")
    other = WebAddress("https://push.example.com/2", b"p", b"a")

    assert (True, False) == (
        address_digest(one) == address_digest(same),
        address_digest(one) == address_digest(other),
    )


def test_an_apple_device_is_known_by_its_token_alone() -> None:
    """A device that names its app at one launch and not at the next is the same device."""
    assert address_digest(ApnsAddress("aa")) == address_digest(ApnsAddress("aa", "com.example.app"))


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_addresses_of_two_gateways_never_collide(name: str) -> None:
    """One text as the token of two gateways is two devices."""
    addresses: list[Address] = [ApnsAddress(name), FcmAddress(name), WebAddress(name, b"", b"")]

    digests = {address_digest(address) for address in addresses}

    assert (3, {32}) == (len(digests), {len(digest) for digest in digests})


@pytest.mark.parametrize(
    "messages, gateways",
    [
        (Messages(), []),
        (Messages(web=WebMessage(b""), apns=ApnsMessage(b"")), [Gateway.APNS, Gateway.WEB]),
        (
            Messages(ApnsMessage(b""), FcmMessage(b""), WebMessage(b"")),
            [Gateway.APNS, Gateway.FCM, Gateway.WEB],
        ),
    ],
)
def test_a_publish_knows_for_whom_it_has_something(
    messages: Messages, gateways: list[Gateway]
) -> None:
    """The gateways of a publish are those it has a message for, in a fixed order."""
    assert gateways == messages.gateways()


SECRET = "do-not-show-this"


@pytest.mark.parametrize(
    "value",
    [
        ApnsAddress(SECRET),
        FcmAddress(SECRET),
        WebAddress(f"https://push.example.com/{SECRET}", SECRET.encode(), SECRET.encode()),
        ApnsMessage(SECRET.encode()),
        FcmMessage(SECRET.encode()),
        WebMessage(SECRET.encode()),
        apns_credentials(key=SECRET),
        ApnsCertificate("certificate", SECRET, "com.example.app"),
        fcm_credentials(private_key=SECRET),
        VapidKeys(SECRET.encode(), b"public"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_printed_holds_no_secret(value: object) -> None:
    """Tokens, payloads and private keys stay out of the text that a traceback would show."""
    assert SECRET not in repr(value)


def test_values_do_not_change() -> None:
    """An address is a value: it can be a key of a dictionary, and nobody alters it."""
    address = ApnsAddress("aa")

    with pytest.raises(AttributeError):
        address.token = "bb"  # type: ignore[misc]  # the point of the test
    assert 3 == len(fields(address))
