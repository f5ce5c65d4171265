"""
What every gateway's reply can mean.

Each gateway is a module with the same verbs, all pure:

* ``template(...)`` is what the requests of one publish have in common, and
  ``values(...)`` what one delivery puts into it;
* ``outcome(response, now=...)`` says what the reply means, and never raises.

An outcome is what happened; what we do about it is a *verdict*, which
``pipeline/verdict.py`` decides. Which part is at fault is the whole point of having
seven: a dead address, a bad message, refused credentials and a broken connection
call for four different answers, and confusing them is how servers delete devices
that were fine.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from heliograph.model import Environment


@dataclass(frozen=True, slots=True)
class Sent:
    """The gateway took it. Not "delivered": only the device can say that."""

    gateway_id: str | None = None
    """The gateway's own name for the message; None if it is the one that we sent (APNs)."""
    environment: Environment | None = None
    """Which of Apple's environments took it, if that is news."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The address is dead, and the gateway said so in a way that can be trusted."""

    reason: str
    since: datetime | None = None
    """When it died, if told: a registration after that instant is alive (APNs 410)."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """
    The address was refused, but a wrong setting would look the same.

    The device is kept: one wrong environment or topic says this of every device.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The message is at fault; no device of this gateway will ever take it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Our credentials or configuration are at fault; the message may go out later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Try again later."""

    reason: str
    retry_after: timedelta | None = None
    """How long the gateway (or its documentation) asks us to wait at least."""
    is_for_all: bool = False
    """Whether everything that we send there must wait, and not this device alone."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The connection is at fault and the message was not processed: send it again."""

    reason: str
    renew_token: bool = False
    """Whether the provider or access token must be made anew first."""


Outcome = Sent | Gone | Suspect | Rejected | Refused | Unavailable | Interrupted
