"""
What IBM's own tool wrote of an instance of its service, while there was one. Pure.

Both files are CSV without a header (``push-en-migration-tool``, ``exportPushDeviceInFile.go``
and ``exportPushSubscriptionInFile.go``):

==================== =================================================
``devices.csv``      device id, user id, token, platform
``subscription.csv`` tag, device id
==================== =================================================

A device that is nobody's has the user id ``anonymous`` (contract §3.1). The tag that every
device has, ``Push.ALL``, is no subscription (§4.2); the tool leaves it out, and so do we.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from heliograph import addresses
from heliograph.api.ibm.browsers import read_browser_token
from heliograph.api.ibm.schema import ANONYMOUS, EVERYBODY, PLATFORMS
from heliograph.model import Address, Interest, Platform
from heliograph.transfer.fields import name_of, user_of
from heliograph.transfer.records import Line, Record, Reject
from heliograph.transfer.rows import rows

_DEVICE: Final = ("deviceId", "userId", "token", "platform")
_SUBSCRIPTION: Final = ("tagName", "deviceId")
_LONGEST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a device subscribes to."""

    device: str
    """Its name."""
    interest: Interest


def read_devices(lines: Iterable[str]) -> Iterator[Line]:
    """The devices in ``devices.csv``, in their order; lines have their ends."""
    for number, row in _rows(lines, _DEVICE):
        if isinstance(row, str):
            yield number, Reject(number, "", row)
            continue
        try:
            yield number, _record(row)
        except ValueError as problem:
            yield number, Reject(number, _shown(row[0]), str(problem))


def read_subscriptions(lines: Iterable[str]) -> Iterator[tuple[int, Subscription | Reject]]:
    """The subscriptions in ``subscription.csv``, in their order; lines have their ends."""
    for number, row in _rows(lines, _SUBSCRIPTION):
        if isinstance(row, str):
            yield number, Reject(number, "", row)
        elif row[0] != EVERYBODY:
            yield number, _subscription(number, *row)


def address(platform: Platform, token: str) -> Address:
    """
    Where a device is reached, from its token as IBM's SDKs made it (contract §3.1).

    Raises:
        ValueError: The token is none of this platform's.
    """
    match platform:
        case Platform.IOS | Platform.SAFARI:
            return addresses.apns_address(token)
        case Platform.ANDROID | Platform.CHROME_APP:
            return addresses.fcm_address(token)
        case Platform.CHROME | Platform.FIREFOX:
            return read_browser_token(token)


def _rows(lines: Iterable[str], columns: tuple[str, ...]) -> Iterator[tuple[int, list[str] | str]]:
    """Rows with these columns, or what is wrong; without a header that somebody put on top."""
    is_first = True
    for number, row in rows(lines):
        if isinstance(row, csv.Error):
            yield number, str(row)
        elif len(row) != len(columns):
            yield number, f"has {len(row)} columns, not {len(columns)}: {', '.join(columns)}"
        elif not is_first or tuple(row) != columns:
            yield number, row
        is_first = False


def _record(row: list[str]) -> Record:
    name, user, token, word = row
    platform = PLATFORMS.get(word)
    if platform is None:
        raise ValueError(f"platform must be one of {', '.join(PLATFORMS)}")
    return Record(
        address=address(platform, token),
        name=name_of(name),
        platform=platform,
        user=None if user in ("", ANONYMOUS) else user_of(user),
    )


def _subscription(number: int, tag: str, device: str) -> Subscription | Reject:
    if not device:
        return Reject(number, "", "device id is missing")
    if not addresses.is_any_interest(tag):
        longest = addresses.LONGEST_INTEREST
        return Reject(number, _shown(device), f"tag must have 1 to {longest} printable characters")
    return Subscription(device, Interest(tag))


def _shown(name: str) -> str:
    return name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…"
