"""
What was asked for, what was observed and what arrived, held against each other: pure.

* At every observation ``targeted = sent + failed + expired + cancelled + pending``, and
  nothing but ``pending`` goes back.
* What was answered is never lost; what was not answered is there as a whole or not at all.
* Each device that should have a publish has it, and no other.
* Whoever listens is told of the end of each publish to users, with who was reached, and again only
  under the same id.
* Whatever arrives again carries the same ids, and there is a reason for it: a process that
  was killed, or an answer that was lost.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from benchmarks.chaos.script import Order

ENDS: Final = ("sent", "failed", "expired", "cancelled")
_ONLY_GROW: Final = ("targeted", *ENDS)

UNANSWERED: Final = re.compile(
    r"RST_STREAM (?!REFUSED_STREAM)|no reply in time|no sign of life|connection lost"
    r"|closed|closing|the peer has gone"
)
"""How the transport says that it does not know whether a request was taken."""


class Broken(Exception):  # noqa: N818  (a promise is)
    """One of the promises at the top does not hold."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A notification that a device was handed."""

    at: float
    publish: str
    apns_id: str | None


@dataclass(frozen=True, slots=True)
class Fate:
    """What the product says became of a publish on one device."""

    decision: str
    attempts: Sequence[Mapping[str, Any]]

    @property
    def may_have_arrived(self) -> int:
        """In how many attempts it was taken, or may have been."""
        return sum(
            each["result"] == "sent" or bool(UNANSWERED.match(each["reason"] or ""))
            for each in self.attempts
        )


@dataclass(slots=True)
class Asked:
    """A publish, from when it was first asked for."""

    order: Order
    audience: frozenset[str]
    """The addresses of the devices that it is for."""
    asked_at: float
    publish: str | None = None
    """Its id, once it is answered."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    """As last observed."""
    arrived: defaultdict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    """By the device's address, in order."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will be done for it."""
        return self.counts.get("state") in {"finished", "cancelled"}

    @property
    def left(self) -> int:
        """How many of its deliveries are not over, as far as was observed."""
        if self.publish is None or self.is_finished:
            return 0
        over: int = sum(self.counts.get(end, 0) for end in ENDS)
        return len(self.audience) - over

    @property
    def first_arrival(self) -> float | None:
        """When it first arrived anywhere."""
        return min((each[0].at for each in self.arrived.values()), default=None)


class Ledger:
    """The books of one run."""

    def __init__(self) -> None:
        self.asked: dict[str, Asked] = {}
        """By what they say."""
        self.observations = 0
        self.arrivals = 0
        self.kills: list[float] = []
        """When somebody died who may have had deliveries in hand, in order."""
        self.repeats: Counter[str] = Counter()
        """Arrivals beyond the first, by what explains them."""

    # --- as it goes on ---------------------------------------------------------------

    def ask(self, order: Order, audience: frozenset[str], *, now: float) -> Asked:
        """Note that a publish is asked for."""
        asked = self.asked[order.words] = Asked(order, audience, now)
        return asked

    def under_way(self) -> list[Asked]:
        """What was answered, and is not over."""
        return [each for each in self.asked.values() if each.publish and not each.is_finished]

    def observe(self, asked: Asked, counts: Mapping[str, Any] | None) -> None:
        """
        Hold what the product says of a publish against what it said before.

        Raises:
            Broken: It is lost (None), does not add up, or has gone back.
        """
        self.observations += 1
        if counts is None:
            raise Broken(f"{_name(asked)} was answered, and is lost")
        if counts["targeted"] != sum(counts[end] for end in ENDS) + counts["pending"]:
            raise Broken(f"{_name(asked)} does not add up: {_counts(counts)}")
        if any(counts[each] < asked.counts.get(each, 0) for each in _ONLY_GROW):
            raise Broken(f"{_name(asked)} went back: {_counts(asked.counts)}, {_counts(counts)}")
        if asked.is_finished and counts != asked.counts:
            raise Broken(f"{_name(asked)} was over: {_counts(asked.counts)}, {_counts(counts)}")
        asked.counts = counts

    def arrive(self, entry: Mapping[str, Any]) -> None:
        """
        Note an entry of the sandbox's inbox.

        Raises:
            Broken: It is not for this device, or it is not as it was when it came before.
        """
        words, publish = _read(entry)
        asked, device = self.asked[words], entry["token"]
        if device not in asked.audience:
            raise Broken(f"{_name(asked)} arrived where it was not for: {entry}")
        at = datetime.fromisoformat(entry["time"]).timestamp()
        arrival = Arrival(at, publish, entry["headers"].get("apns-id"))
        for other in asked.arrived[device][:1]:
            if (other.publish, other.apns_id) != (arrival.publish, arrival.apns_id):
                raise Broken(f"{_name(asked)} cannot be recognised: {other}, {arrival}")
        asked.arrived[device].append(arrival)
        self.arrivals += 1

    # --- in the end ------------------------------------------------------------------

    def to_be_traced(self, frail: Collection[str]) -> Iterator[tuple[Asked, str]]:
        """The deliveries of which the counts alone do not tell enough."""
        for asked in self._known():
            for device in sorted(asked.audience):
                if device in frail or len(asked.arrived.get(device, ())) > 1:
                    yield asked, device

    def judge(self, fates: Mapping[tuple[str, str], Fate], frail: Collection[str]) -> None:
        """
        Hold everything against everything.

        Args:
            fates: What the product says of those ``to_be_traced``, by id and address.
            frail: Addresses that were struck by what ends a delivery.

        Raises:
            Broken: One of the promises does not hold.
        """
        for asked in self.asked.values():
            _check_identity(asked)
        for asked in self._known():
            if not asked.is_finished or asked.counts["pending"]:
                raise Broken(f"{_name(asked)} is not over: {_counts(asked.counts)}")
            if asked.order.is_cancelled:
                _check_cancelled(asked)
            else:
                _check_delivered(asked, fates, frail)
            for device, arrivals in asked.arrived.items():
                if len(arrivals) > 1:
                    self._explain(asked, arrivals, fates[asked.publish or "", device])

    def to_be_told(self) -> set[str]:
        """The publishes of whose end a webhook is told."""
        return {each.publish or "" for each in self._known() if each.order.users}

    def judge_told(
        self, told: Mapping[str, Mapping[str, Any]], calls: Mapping[str, Collection[str]]
    ) -> None:
        """
        Hold what a webhook was told against what arrived.

        Args:
            told: The payload of the call about each publish, by its id.
            calls: The ids under which that was said.

        Raises:
            Broken: Somebody was reached of whom it was not said, or the other way round.
        """
        for asked in self._known():
            if not asked.order.users:
                continue
            payload = told[asked.publish or ""]
            if len(calls[asked.publish or ""]) != 1:
                raise Broken(f"{_name(asked)} was told of under several ids")
            reached = len(payload["users_delivered_to_gateway"])
            every = reached + len(payload["users_no_devices"] + payload["users_gateway_failed"])
            if every != len(asked.order.users) or (reached > 0) != (asked.counts["sent"] > 0):
                raise Broken(f"{_name(asked)}: {_counts(asked.counts)}, and told {payload}")

    def adopt(self) -> list[Asked]:
        """What nobody was answered for and arrived all the same; from now on it is known."""
        found = []
        for asked in self.asked.values():
            first = next((each[0] for each in asked.arrived.values()), None)
            if asked.publish is None and first is not None:
                asked.publish = first.publish
                found.append(asked)
        return found

    @property
    def ends(self) -> Counter[str]:
        """What all deliveries came to."""
        total: Counter[str] = Counter()
        for asked in self._known():
            total.update({each: asked.counts[each] for each in (*_ONLY_GROW, "pending")})
        return total

    def _known(self) -> Iterator[Asked]:
        return (each for each in self.asked.values() if each.publish is not None)

    def _explain(self, asked: Asked, arrivals: Sequence[Arrival], fate: Fate) -> None:
        repeats = len(arrivals) - 1
        after_fault = min(repeats, max(0, fate.may_have_arrived - 1))
        after_kill = repeats - after_fault
        died = bisect_right(self.kills, arrivals[-1].at) - bisect_left(self.kills, asked.asked_at)
        if after_kill > died:
            raise Broken(f"{_name(asked)} arrived again for no reason: {arrivals}, {fate}")
        self.repeats.update({"kill": after_kill, "lost answer": after_fault})


def _check_identity(asked: Asked) -> None:
    """A key stands for one publish, however often it was sent."""
    ids = {each.publish for arrivals in asked.arrived.values() for each in arrivals}
    if ids - {asked.publish}:
        raise Broken(f"{_name(asked)} arrived under other ids: {ids}")


def _check_cancelled(asked: Asked) -> None:
    """What was sent before it was cancelled has arrived."""
    if asked.counts["sent"] > len(asked.arrived):
        raise Broken(f"{_name(asked)}: {_counts(asked.counts)}, {len(asked.arrived)} arrived")


def _check_delivered(
    asked: Asked, fates: Mapping[tuple[str, str], Fate], frail: Collection[str]
) -> None:
    expected: Counter[str] = Counter()
    for device in asked.audience:
        decision = "sent"
        if device in frail:
            decision = fates[asked.publish or "", device].decision
        if decision == "sent" and device not in asked.arrived:
            raise Broken(f"{_name(asked)} should have arrived: {device}")
        expected[decision] += 1
    del expected["not targeted"]
    actual = Counter({end: asked.counts[end] for end in ENDS if asked.counts[end]})
    if expected != actual:
        raise Broken(f"{_name(asked)} came to {dict(actual)}, and should to {dict(expected)}")


def _read(entry: Mapping[str, Any]) -> tuple[str, str]:
    """What an entry says, and of which publish it says that it is."""
    data = entry["payload"]["data"]
    pusher = data["pusher"]  # text for FCM, which takes nothing else
    return data["words"], (json.loads(pusher) if isinstance(pusher, str) else pusher)["publishId"]


def _name(asked: Asked) -> str:
    return f"{asked.order.words} ({asked.publish})"


def _counts(counts: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {counts.get(name)}" for name in (*_ONLY_GROW, "pending", "state"))
