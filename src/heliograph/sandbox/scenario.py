"""
The faults an operator asked for, and which of them the next request meets.

A request is checked first; one that would have been accepted then meets the first fault in the
list that matches it, is not used up, and whose dice say so. Chance is drawn from the seed, the
fault's place in the list, the token and how often that token has come by, so that a run is
repeatable however its requests interleave.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Annotated, Final, Literal

import msgspec

from heliograph.sandbox.exchange import Gateway


class FaultName(StrEnum):
    """Everything that can go wrong on purpose."""

    UNREGISTERED = "unregistered"
    BAD_TOKEN = "bad_token"  # noqa: S105 - the name of a fault
    WRONG_SENDER = "wrong_sender"
    TOO_MANY_REQUESTS = "too_many_requests"
    UNAVAILABLE = "unavailable"
    INTERNAL_ERROR = "internal_error"
    EXPIRED_CREDENTIALS = "expired_credentials"
    INVALID_CREDENTIALS = "invalid_credentials"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    BAD_GATEWAY = "bad_gateway"
    REDIRECT = "redirect"
    EMPTY_ERROR = "empty_error"
    TRUNCATED_ERROR = "truncated_error"
    ANSWER = "answer"
    SLOW = "slow"
    NO_ANSWER = "no_answer"
    LOST_ANSWER = "lost_answer"
    RESET = "reset"
    REFUSED_STREAM = "refused_stream"
    GOAWAY = "goaway"
    DISCONNECT = "disconnect"
    FEWER_STREAMS = "fewer_streams"
    SMALLER_WINDOWS = "smaller_windows"
    SLOW_READS = "slow_reads"
    STALL = "stall"


_OWN_FIELDS: Final[Mapping[FaultName, frozenset[str]]] = {
    FaultName.UNREGISTERED: frozenset({"age_seconds"}),
    FaultName.TOO_MANY_REQUESTS: frozenset({"retry_after"}),
    FaultName.UNAVAILABLE: frozenset({"retry_after", "reason"}),
    FaultName.INTERNAL_ERROR: frozenset({"retry_after"}),
    FaultName.BAD_GATEWAY: frozenset({"retry_after"}),
    FaultName.REDIRECT: frozenset({"location"}),
    FaultName.EMPTY_ERROR: frozenset({"status", "retry_after"}),
    FaultName.TRUNCATED_ERROR: frozenset({"retry_after"}),
    FaultName.ANSWER: frozenset({"status", "reason", "retry_after"}),
    FaultName.GOAWAY: frozenset({"reason"}),
    FaultName.FEWER_STREAMS: frozenset({"streams"}),
    FaultName.SMALLER_WINDOWS: frozenset({"window_bytes"}),
}
"""The fields that mean something for some faults only."""

_EVERY_OWN_FIELD: Final = frozenset().union(*_OWN_FIELDS.values())

_REQUIRED_FIELDS: Final[Mapping[FaultName, frozenset[str]]] = {
    FaultName.ANSWER: frozenset({"status"}),
    FaultName.REDIRECT: frozenset({"location"}),
    FaultName.SLOW: frozenset({"delay_seconds"}),
    FaultName.SLOW_READS: frozenset({"delay_seconds"}),
    FaultName.STALL: frozenset({"delay_seconds"}),
}

_OF_TOKENS: Final = frozenset(
    {
        FaultName.UNREGISTERED,
        FaultName.BAD_TOKEN,
        FaultName.WRONG_SENDER,
        FaultName.PAYLOAD_TOO_LARGE,
    }
)
"""Faults about a device or a message, which a token endpoint has not."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing to go wrong, for whom, and how often."""

    fault: FaultName
    gateway: Literal["apns", "fcm", "web", "oauth"] | None = None
    """None means all three services, though not Google's token endpoint."""
    token: str | None = None
    """Only for this device; for web also its endpoint or channel."""
    chance: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """How many requests may meet it; None means all."""
    delay_seconds: Seconds = 0.0
    """How long the answer is held back, or the connection reads nothing."""
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    reason: str | None = None
    retry_after: Annotated[int, msgspec.Meta(ge=0, le=86_400)] | None = None
    location: str | None = None
    streams: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    window_bytes: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None
    age_seconds: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """How long ago Apple learned that the token is dead."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``PUT /scenario``."""

    seed: int = 0
    faults: tuple[Fault, ...] = ()
    apns_starts_with_one_stream: bool = True
    """Apple's habit: one stream until a request with a valid token has been posted."""
    apns_limits_token_updates: bool = False
    """Refuse a provider token that replaces one younger than 20 minutes."""


class ScenarioError(ValueError):
    """The plan cannot be followed; the message says which part and why."""


class Scenario:
    """The plan now in force, and how far it has been used up."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.follow(plan or Plan())

    def follow(self, plan: Plan) -> None:
        """Put this plan in force from its beginning."""
        self.plan = plan
        self._met: Counter[int] = Counter()
        self._draws: Counter[tuple[int, str]] = Counter()

    def next_fault(self, gateway: Gateway, names: tuple[str, ...]) -> Fault | None:
        """
        The fault that a good request meets; None if it is simply accepted.

        Args:
            gateway: Where the request came in.
            names: All the names of the device it is for, the canonical one first; empty
                for a request that is for no device.
        """
        for place, fault in enumerate(self.plan.faults):
            if self._concerns(place, fault, gateway, names) and self._strikes(place, fault, names):
                self._met[place] += 1
                return fault
        return None

    def as_json(self) -> dict[str, object]:
        """The plan, with how often each fault has been met."""
        return {
            **msgspec.structs.asdict(self.plan),
            "faults": [
                {**_written(fault), "met": self._met[place]}
                for place, fault in enumerate(self.plan.faults)
            ],
        }

    def _concerns(self, place: int, fault: Fault, gateway: Gateway, names: tuple[str, ...]) -> bool:
        if fault.times is not None and self._met[place] >= fault.times:
            return False
        if fault.token is not None and fault.token not in names:
            return False
        if fault.gateway is None:
            return gateway is not Gateway.OAUTH
        return fault.gateway == gateway

    def _strikes(self, place: int, fault: Fault, names: tuple[str, ...]) -> bool:
        if fault.chance >= 1:
            return True
        device = names[0] if names else ""
        self._draws[place, device] += 1
        dice = f"{self.plan.seed}/{place}/{device}/{self._draws[place, device]}"
        return Random(dice).random() < fault.chance  # noqa: S311 - repeatable on purpose


def parse_plan(body: bytes) -> Plan:
    """
    Read the body of ``PUT /scenario``; an empty one is a plan without faults.

    Raises:
        ScenarioError: naming the field that is wrong.
    """
    if not body.strip():
        return Plan()
    try:
        plan = msgspec.json.decode(body, type=Plan)
    except msgspec.DecodeError as error:
        raise ScenarioError(str(error)) from error
    for place, fault in enumerate(plan.faults):
        _check(f"$.faults[{place}]", fault)
    return plan


def _check(where: str, fault: Fault) -> None:
    given = {name for name in _EVERY_OWN_FIELD if getattr(fault, name) is not None}
    if foreign := given - _OWN_FIELDS.get(fault.fault, frozenset()):
        raise ScenarioError(f"{where}: `{min(foreign)}` means nothing for `{fault.fault}`")
    missing = {name for name in _REQUIRED_FIELDS.get(fault.fault, ()) if not getattr(fault, name)}
    if missing:
        raise ScenarioError(f"{where}: `{fault.fault}` needs `{min(missing)}`")
    if fault.gateway == "oauth" and (fault.fault in _OF_TOKENS or fault.token is not None):
        raise ScenarioError(f"{where}: the token endpoint knows no devices and no messages")


def _written(fault: Fault) -> dict[str, object]:
    encoded = msgspec.json.encode(fault)
    return msgspec.json.decode(encoded, type=dict[str, object])
