"""Devices, and what keeps them from being pruned, in the words of the API."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from heliograph.model import DeviceId, InstanceNumber, Lane, gateway_of
from heliograph.storage import devices, suspicions
from heliograph.storage.devices import Device
from heliograph.storage.watches import Watch


def describe(device: Device) -> dict[str, Any]:
    """A device without its token, which is as good as a key to its screen."""
    told: dict[str, Any] = {
        "id": device.id,
        "name": device.name,
        "gateway": gateway_of(device.address),
        "platform": device.platform,
        "user_id": device.user,
        "metadata": device.metadata,
        "created_at": device.created_at,
        "registered_at": device.registered_at,
    }
    if device.prune is not None:
        told |= {
            "pruned_at": device.prune.at,
            "prune_reason": device.prune.reason,
            "quarantined": device.prune.is_quarantine,
            "gone_since": device.prune.gone_since,
        }
    return told


async def show(
    connection: AsyncConnection, instance: InstanceNumber, device: DeviceId
) -> dict[str, Any] | None:
    """A device, living or pruned, and what it is suspected of; None if there is none."""
    found = await devices.find_any(connection, instance, device)
    if found is None:
        return None
    held = (await suspicions.of(connection, [found.number])).get(found.number)
    suspicion = held and {
        "refusals": held.refusals,
        "since": held.since,
        "reason": held.reason,
    }
    return describe(found) | {"suspicion": suspicion}


def describe_stop(lane: Lane, watch: Watch) -> dict[str, Any]:
    """A lane whose pruning is stopped, and what it has seen since."""
    return {
        "gateway": lane.gateway,
        "environment": lane.environment,
        "stopped_at": watch.stopped_at,
        "attempted": watch.attempted,
        "doomed": watch.doomed,
    }
