"""IBM's paths, as one table: who serves what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.routing import BaseRoute

from heliograph.api.ibm.answers import (
    Handler,
)
from heliograph.api.ibm.channels import Channels
from heliograph.api.ibm.devices import Devices
from heliograph.api.ibm.door import (
    BASE,
    Door,
)
from heliograph.api.ibm.identity import Identity
from heliograph.api.ibm.messages import MessagesApi
from heliograph.api.ibm.safari import Safari
from heliograph.api.ibm.settings import Settings
from heliograph.api.ibm.status import Status
from heliograph.api.ibm.subscriptions import Subscriptions
from heliograph.api.ibm.tags import Tags
from heliograph.api.ibm.webhooks import WebhooksApi
from heliograph.catalogue import Catalogue
from heliograph.instances import Instances, Randomness
from heliograph.pipeline.accept import Accept
from heliograph.pipeline.acknowledge import Acknowledge
from heliograph.pipeline.ledger import Ledger
from heliograph.roster import Roster
from heliograph.storage.database import Database
from heliograph.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Product:
    """What this dialect speaks for: the same that every other speaks for."""

    database: Database
    instances: Instances
    roster: Roster
    catalogue: Catalogue
    ledger: Ledger
    accept: Accept
    acknowledge: Acknowledge
    webhooks: Webhooks


def routes(
    product: Product,
    *,
    publish_rate: int,
    device_rate: int,
    clock: Callable[[], datetime],
    randomness: Randomness,
) -> tuple[Sequence[BaseRoute], Mapping[str, Handler]]:
    """
    Every path of the dialect, and the one that is posted to so often that it goes first.

    Args:
        product: What answers behind it.
        publish_rate: Requests a second of the back ends of one instance.
        device_rate: Requests a second of devices at one network address.
        clock: The time.
        randomness: For ids.
    """
    instances, roster, ledger = product.instances, product.roster, product.ledger
    door = Door(instances, publish_rate=publish_rate, device_rate=device_rate, clock=clock)
    identity = Identity(instances, device_rate=device_rate, clock=clock)
    messages = MessagesApi(
        door, roster, ledger, product.accept, product.acknowledge, randomness=randomness
    )
    # What has a name of its own stands before what may have any.
    entries = [
        *Status(door, roster, ledger, product.database, clock=clock).entries(),
        *messages.entries(),
        *Settings(door, instances).entries(),
        *Safari(door, roster).entries(),
        *Channels(door, instances).entries(),
        *Devices(door, roster).entries(),
        *Tags(door, product.catalogue).entries(),
        *Subscriptions(door, roster).entries(),
        *WebhooksApi(door, product.webhooks).entries(),
    ]
    posts = {f"{BASE}/{{instance}}/messages": door.served("POST", messages.send)}
    return [*identity.routes(), door.routes(entries)], posts
