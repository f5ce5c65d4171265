"""
What happens in each round, from the seed alone: pure.

The seed chooses what is published, what the services do wrong, who is killed and how far
the round has come by then. It does not choose how fast the machine is, nor which request
meets a fault that has a chance: addresses are made up anew in each run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from heliograph.sandbox.scenario import FaultName

DEVICES_OF_A_USER: Final = 3
"""One at each service."""

EVERYTHING: Final = "everything"
"""As a victim: all parts at once."""

Fields = Mapping[str, Any]
"""A fault as ``PUT /scenario`` takes it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens in a run."""

    rounds: int
    users: int
    frail_users: int
    """Those at the beginning, whose devices may be struck by what ends a delivery."""
    small: int
    """Publishes to a few users in each round, besides those to everybody."""
    is_patient: bool
    """Whether there is time for what holds work up by half a minute, and for second kills."""


@dataclass(frozen=True, slots=True)
class Order:
    """A publish to be asked for."""

    words: str
    """What it says, by which it is known, and its idempotency key."""
    users: tuple[str, ...] = ()
    interests: tuple[str, ...] = ()
    has_key: bool = True
    """Without one it is asked for once, whether that is answered or not."""
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """One kill, and what goes on around it."""

    number: int
    weather: Sequence[Fields]
    """Faults that anybody may meet; none of them ends a delivery."""
    doom: Mapping[int, Fields]
    """Faults that end the deliveries of one frail device each, by the device's place."""
    orders: Sequence[Order]
    late: Sequence[Order]
    """Asked for when the victim is dead, and before it is started again."""
    victim: str
    moment: float
    """It is killed when the services have taken this share of the round's messages …"""
    pause: float
    """… and so many seconds have passed."""
    again_after: float | None
    """Seconds from its start to when it is killed once more; None if it is not."""


_PASSING: Final[Mapping[FaultName, Fields]] = {
    FaultName.TOO_MANY_REQUESTS: {"retry_after": 1},
    FaultName.UNAVAILABLE: {"retry_after": 1},
    FaultName.INTERNAL_ERROR: {"retry_after": 1},
    FaultName.BAD_GATEWAY: {"retry_after": 1},
    FaultName.EMPTY_ERROR: {"status": 503, "retry_after": 1},
    FaultName.TRUNCATED_ERROR: {"retry_after": 1},
    FaultName.SLOW: {"delay_seconds": 0.2},
    FaultName.RESET: {},
    FaultName.LOST_ANSWER: {},
    FaultName.REFUSED_STREAM: {},
}
"""What strikes single requests, and passes."""

_OF_CONNECTIONS: Final[Mapping[FaultName, Fields]] = {
    FaultName.GOAWAY: {},
    FaultName.DISCONNECT: {},
    FaultName.FEWER_STREAMS: {"streams": 20},
    FaultName.SMALLER_WINDOWS: {},
    FaultName.SLOW_READS: {"delay_seconds": 0.01},
}
"""What a whole connection has to bear."""

_LONG: Final[Sequence[Fields]] = (
    {"fault": FaultName.NO_ANSWER},
    {"fault": FaultName.STALL, "delay_seconds": 1},
    {"fault": FaultName.EXPIRED_CREDENTIALS, "gateway": "apns"},
    {"fault": FaultName.EXPIRED_CREDENTIALS, "gateway": "fcm"},
    {"fault": FaultName.INVALID_CREDENTIALS, "gateway": "apns"},
    {"fault": FaultName.INVALID_CREDENTIALS, "gateway": "fcm"},
)
"""What holds work up for half a minute, or a whole lane for one."""

_FINAL: Final[Sequence[Fields]] = (
    {"fault": FaultName.UNREGISTERED},
    {"fault": FaultName.BAD_TOKEN},
    {"fault": FaultName.WRONG_SENDER},
    {"fault": FaultName.PAYLOAD_TOO_LARGE},
    {"fault": FaultName.ANSWER, "status": 400, "reason": "Unheard Of"},
)
"""What ends a delivery, and may take the device out of service."""

_CALM_AT_THE_END: Final = 5
"""Rounds without what takes long, so that the last of it is over when they are."""


def rounds(size: Size, victims: Sequence[str], dice: Random) -> list[Round]:
    """All rounds of a run: each victim in its turn."""
    return [_round(number, size, victims, dice) for number in range(size.rounds)]


def _round(number: int, size: Size, victims: Sequence[str], dice: Random) -> Round:
    is_calm = not size.is_patient or number >= size.rounds - _CALM_AT_THE_END
    orders = [_large(f"{number}/large", dice), *_small(f"{number}/early", size, dice)]
    if dice.random() < 0.3:  # noqa: PLR2004  (some rounds)
        orders.append(
            Order(f"{number}/cancelled", interests=_half(dice), is_cancelled=True),
        )
    return Round(
        number,
        weather=_weather(is_calm, dice),
        doom=_doom(size, dice),
        orders=orders,
        late=[*_late(number, size, dice)],
        victim=victims[number % len(victims)],
        moment=dice.uniform(0, 0.9),
        pause=dice.uniform(0, 0.1),
        again_after=_again(size, dice),
    )


def _again(size: Size, dice: Random) -> float | None:
    """One start in four is cut short, if there is time for another."""
    is_cut_short = dice.random() < 0.25  # noqa: PLR2004
    return dice.uniform(0, 1.5) if size.is_patient and is_cut_short else None


def _weather(is_calm: bool, dice: Random) -> list[Fields]:
    passing = dice.sample(list(_PASSING), dice.randint(2, 5))
    bad = dice.sample(list(_OF_CONNECTIONS), dice.randint(0, 2))
    weather: list[Fields] = [
        {"fault": name, "chance": round(dice.uniform(0.001, 0.01), 4)} | dict(_PASSING[name])
        for name in passing
    ]
    weather += [
        {"fault": name, "chance": 0.01, "times": 1} | dict(_OF_CONNECTIONS[name]) for name in bad
    ]
    if not is_calm and dice.random() < 0.2:  # noqa: PLR2004  (one round in five)
        weather.append({"chance": 0.01, "times": 1} | dict(dice.choice(_LONG)))
    return weather


def _doom(size: Size, dice: Random) -> dict[int, Fields]:
    frail = range(size.frail_users * DEVICES_OF_A_USER)
    return {place: dice.choice(_FINAL) for place in dice.sample(frail, len(frail) // 4)}


def _large(words: str, dice: Random) -> Order:
    """To everybody, some of whom it matches twice."""
    return Order(words, interests=("all", *_half(dice)))


def _half(dice: Random) -> tuple[str, ...]:
    return (f"half-{dice.randrange(2)}",)


def _small(words: str, size: Size, dice: Random) -> list[Order]:
    return [Order(f"{words}-{place}", users=_some_users(size, dice)) for place in range(size.small)]


def _late(number: int, size: Size, dice: Random) -> list[Order]:
    """Publishes to a few, the last of them without a key."""
    keyless = Order(f"{number}/keyless", users=_some_users(size, dice), has_key=False)
    return [*_small(f"{number}/late", size, dice), keyless]


def _some_users(size: Size, dice: Random) -> tuple[str, ...]:
    places = dice.sample(range(size.users), dice.randint(1, 3))
    return tuple(map(user, places))


def user(place: int) -> str:
    """What the user at a place is called."""
    return f"user-{place}"


def interests(place: int) -> list[str]:
    """What the devices of the user at a place are subscribed to."""
    return ["all", f"half-{place % 2}"]
