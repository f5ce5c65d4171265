"""
What others are told of: notices, and who wants them. Types only, like ``model.py``.

A *notice* says that something has come of a publish, or of a device. A *webhook* is where an
instance wants to be told, and a *call* is one notice to one webhook; a publish may have a hook
of its own besides. In which words a notice is written, a dialect says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, NewType, Protocol

import msgspec

from heliograph.model import (
    DeviceId,
    Gateway,
    InstanceId,
    Interest,
    Platform,
    PublishId,
    UserId,
)

WebhookId = NewType("WebhookId", str)
WebhookNumber = NewType("WebhookNumber", int)
CallId = NewType("CallId", str)
CallNumber = NewType("CallNumber", int)


class Subject(StrEnum):
    """What a notice can be about."""

    STARTED = "started"
    """A publish was accepted. Only its own hook is told."""
    ENDED = "ended"
    """Nothing is left to do for a publish."""
    DELIVERED = "delivered"
    """A device says that it has a publish."""
    OPENED = "opened"
    """Somebody has opened it there."""
    PROGRESSED = "progressed"
    """Devices were sent a publish, could not be, or say that they have or opened it."""
    FAILED = "failed"
    """Devices could not be sent a publish, and why."""
    REGISTERED = "registered"
    """A device is new."""
    CHANGED = "changed"
    """A device has another address, or somebody else is logged in on it."""
    UNREGISTERED = "unregistered"
    """A device is gone, as it wished."""
    SUBSCRIBED = "subscribed"
    """A device has a further interest."""
    UNSUBSCRIBED = "unsubscribed"
    """A device has lost an interest."""


class Count(msgspec.Struct, frozen=True):
    """What came of the deliveries of a publish through one gateway."""

    sent: int
    failed: int
    """Those that expired among them; not those that were cancelled."""


class Started(msgspec.Struct, frozen=True, tag=str(Subject.STARTED)):
    """A publish was accepted."""


class Ended(msgspec.Struct, frozen=True, tag=str(Subject.ENDED)):
    """Nothing is left to do for a publish; of a publish to users, how it went for each."""

    reached: tuple[UserId, ...] = ()
    """A gateway took it for one of their devices."""
    without_devices: tuple[UserId, ...] = ()
    """There was no device to send it to."""
    failed: tuple[UserId, ...] = ()
    """They have devices, and no gateway took it for any."""
    gateways: dict[Gateway, Count] = {}
    """Those through which anything was to go."""


class Delivered(msgspec.Struct, frozen=True, tag=str(Subject.DELIVERED)):
    """A device of a user says that it has a publish."""

    user: UserId


class Opened(msgspec.Struct, frozen=True, tag=str(Subject.OPENED)):
    """A user has opened a publish."""

    user: UserId


class Progressed(msgspec.Struct, frozen=True, tag=str(Subject.PROGRESSED)):
    """What some devices of a platform have of a publish."""

    state: Literal["sent", "failed", "delivered", "opened"]
    platform: Platform
    devices: tuple[str, ...]
    """What their apps call them."""


class Failed(msgspec.Struct, frozen=True, tag=str(Subject.FAILED)):
    """Why some devices of a platform could not be sent a publish."""

    reason: str
    """Their gateway's word, or ours."""
    platform: Platform
    devices: tuple[str, ...]


class Party(msgspec.Struct, frozen=True):
    """A device, as those are told who know it by its name and its address."""

    id: DeviceId
    name: str
    """What its app calls it."""
    platform: Platform
    user: UserId | None
    token: str
    """Of a browser, its endpoint."""
    p256dh: bytes | None = None
    auth: bytes | None = None


class Registered(msgspec.Struct, frozen=True, tag=str(Subject.REGISTERED)):
    """A device is new."""

    device: Party


class Changed(msgspec.Struct, frozen=True, tag=str(Subject.CHANGED)):
    """A device has another address, or somebody else is logged in on it."""

    device: Party


class Unregistered(msgspec.Struct, frozen=True, tag=str(Subject.UNREGISTERED)):
    """A device is gone, as it wished."""

    device: Party


class Subscribed(msgspec.Struct, frozen=True, tag=str(Subject.SUBSCRIBED)):
    """A device has a further interest."""

    device: Party
    interest: Interest


class Unsubscribed(msgspec.Struct, frozen=True, tag=str(Subject.UNSUBSCRIBED)):
    """A device has lost an interest."""

    device: Party
    interest: Interest


AboutDevice = Registered | Changed | Unregistered | Subscribed | Unsubscribed
"""Notices of no publish."""

AboutPublish = Started | Ended | Delivered | Opened | Progressed | Failed
Notice = AboutPublish | AboutDevice

ABOUT_DEVICES: Final = frozenset(
    {
        Subject.REGISTERED,
        Subject.CHANGED,
        Subject.UNREGISTERED,
        Subject.SUBSCRIBED,
        Subject.UNSUBSCRIBED,
    }
)
"""Subjects of no publish."""


def subject_of(notice: Notice) -> Subject:
    """What a notice is about."""
    return Subject(str(notice.__struct_config__.tag))


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where an instance wants to be told of something."""

    number: WebhookNumber
    id: WebhookId
    dialect: str
    """In whose words."""
    subjects: frozenset[Subject]
    url: str = field(repr=False)
    """It may hold a name and a password."""
    secret: str = field(repr=False)
    custom_data: Mapping[str, Any] = field(hash=False)
    """What its owner wants to find in each call."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OwnHook:
    """Where one publish is told of, and of no other."""

    dialect: str
    url: str = field(repr=False)
    request: bytes = field(repr=False)
    """The caller's request, as JSON, which is told back."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a call says besides its notice."""

    instance: InstanceId
    publish: PublishId | None
    """None if it is of no publish."""
    call: CallId
    """The same at every attempt."""
    event: str
    """A UUID that all calls about one event share."""
    made_at: datetime
    """When it happened."""
    name: str | None = None
    """By which name its caller finds the publish again, if it has one."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A call as it goes out, before it is signed for the second time."""

    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


class Dialect(Protocol):
    """The words in which notices are written."""

    @property
    def name(self) -> str:
        """Which dialect it is."""

    @property
    def events(self) -> Mapping[str, Subject]:
        """What it calls the subjects of which webhooks can be told."""

    def to_webhook(self, notice: Notice, facts: Facts, webhook: Webhook) -> Letter:
        """A call to a webhook."""

    def to_own_hook(self, notice: Notice, facts: Facts, hook: OwnHook) -> Letter:
        """A call to a publish's own hook."""
