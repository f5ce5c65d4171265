"""IBM's paths, as one table: who serves what."""

from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.routing import BaseRoute

from heliograph.api.ibm.devices import Devices
from heliograph.api.ibm.door import Door
from heliograph.api.ibm.identity import Identity
from heliograph.api.ibm.subscriptions import Subscriptions
from heliograph.api.ibm.tags import Tags
from heliograph.catalogue import Catalogue
from heliograph.instances import Instances
from heliograph.roster import Roster


def routes(
    instances: Instances,
    roster: Roster,
    catalogue: Catalogue,
    *,
    publish_rate: int,
    device_rate: int,
    clock: Callable[[], datetime],
) -> Sequence[BaseRoute]:
    """
    Every path of the dialect.

    Args:
        instances: Whose.
        roster: Their devices.
        catalogue: Their declared interests.
        publish_rate: Requests a second of the back ends of one instance.
        device_rate: Requests a second of devices at one network address.
        clock: The time.
    """
    door = Door(instances, publish_rate=publish_rate, device_rate=device_rate, clock=clock)
    identity = Identity(instances, device_rate=device_rate, clock=clock)
    entries = [
        *Devices(door, roster).entries(),
        *Tags(door, catalogue).entries(),
        *Subscriptions(door, roster).entries(),
    ]
    return [*identity.routes(), door.routes(entries)]
